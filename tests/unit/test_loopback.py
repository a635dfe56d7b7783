"""Requests to this host bypass proxies, whichever hosts the user has excluded already."""

from __future__ import annotations

import subprocess
import sys

import pytest

from paddle_int8.tasks.process.loopback import past_proxies
from tests.answering import answering

CLIENTS = {
    "urllib": "from urllib.request import urlopen; urlopen(url).close()",
    "requests": "import requests; requests.get(url).raise_for_status()",
    "httpx": "import httpx; httpx.get(url).raise_for_status()",
    "websockets": "from websockets.proxy import get_proxy\nfrom websockets.uri import parse_uri\n"
    "assert get_proxy(parse_uri(url.replace('http', 'ws'))) is None",
}
PREPARED = """
import os, sys
from paddle_int8.tasks.process.loopback import past_proxies
os.environ.update(past_proxies(os.environ))
"""


@pytest.mark.parametrize(
    ("own", "told"),
    [
        pytest.param({}, "localhost,127.0.0.1,::1", id="nothing named"),
        pytest.param({"NO_PROXY": "a.example, b"}, "a.example,b,localhost,127.0.0.1,::1", id="own hosts"),
        pytest.param({"no_proxy": "127.0.0.1"}, "127.0.0.1,localhost,::1", id="loopback in part"),
        pytest.param({"no_proxy": "a", "NO_PROXY": "b"}, "a,b,localhost,127.0.0.1,::1", id="both names"),
        pytest.param({"no_proxy": "*"}, "*", id="everything"),
    ],
)
def test_past_proxies_adds_loopback_to_the_users_own_hosts(own: dict[str, str], told: str) -> None:
    assert past_proxies(own) == {"no_proxy": told, "NO_PROXY": told}


@pytest.mark.parametrize("client", list(CLIENTS.values()), ids=list(CLIENTS))
def test_client_reaches_loopback_past_a_proxy(client: str) -> None:
    with answering(403) as (proxy, taken), answering(200) as (url, _):
        environment = {"http_proxy": proxy, "HTTP_PROXY": proxy, "ALL_PROXY": proxy}
        program = [sys.executable, "-c", f"{PREPARED}\nurl = sys.argv[1]\n{client}", url]
        ended = subprocess.run(program, env=environment, capture_output=True, text=True, check=False)
    assert (ended.returncode, taken) == (0, []), ended.stderr
