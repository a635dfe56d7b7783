"""Keeps requests to this host itself away from proxies.

`http_proxy` is meant for other hosts. Through a proxy, Prefect's temporary server, a health check or an
MLflow on 127.0.0.1 could never be reached.
"""

from __future__ import annotations

from collections.abc import Mapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
EVERYTHING = "*"
NAMES = ("no_proxy", "NO_PROXY")
"""Some programs read the first, some the second; urllib, requests, httpx and websockets prefer the first."""


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables to add to `environment` so that no client asks a proxy for this host.

    Hosts that the user has excluded from proxies already stay excluded.
    """
    listed = [environment[name] for name in NAMES if environment.get(name)]
    if EVERYTHING in listed:
        return dict.fromkeys(NAMES, EVERYTHING)
    hosts = [host.strip() for text in listed for host in text.split(",")]
    return dict.fromkeys(NAMES, ",".join(dict.fromkeys(filter(None, (*hosts, *LOOPBACK)))))
