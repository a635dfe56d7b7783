"""Requests to this host itself go past every proxy.

`http_proxy` speaks of the world outside. Prefect's temporary server, a health check or an MLflow on
127.0.0.1 would never be reached through it.
"""

from __future__ import annotations

from collections.abc import Mapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYTHING = "*"
NAMES = ("no_proxy", "NO_PROXY")
"""Programs read the one or the other; urllib, requests, httpx and websockets prefer the first."""


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """What `environment` must hold beside its own, so that no client asks a proxy for this host.

    Hosts that the user has listed stay listed.
    """
    listed = [environment[name] for name in NAMES if environment.get(name)]
    if EVERYTHING in listed:
        return dict.fromkeys(NAMES, EVERYTHING)
    hosts = [host.strip() for text in listed for host in text.split(",")]
    return dict.fromkeys(NAMES, ",".join(dict.fromkeys(filter(None, (*hosts, *LOOPBACK)))))
