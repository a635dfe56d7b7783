"""The answers of the webhook receiver to any sender, without servers behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from paddle_int8.flows.server.following import receiver as receiver_module
from paddle_int8.flows.server.following.receiver import receiver
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.following.webhook import DELIVERY_ID, MOST_BYTES, SIGNATURE, TIMESTAMP, signature

SECRET = "0123456789abcdef"
UNFOLLOWED = json.dumps(
    {
        "entity": "model_version_alias",
        "action": "created",
        "data": {"name": "somebody's", "alias": "champion", "version": "1"},
    }
).encode()


def ask(folder: Path, method: str = "POST", path: str = "/mlflow", **request: object) -> int:
    """The answer's status; the releases are those in `folder`."""
    settings = Settings(webhook_secret=SECRET, PREFECT_API_URL="http://127.0.0.1:9/api", configs=folder)  # type: ignore[arg-type]

    async def send() -> int:
        transport = httpx.ASGITransport(app=receiver(settings))
        async with httpx.AsyncClient(transport=transport, base_url="http://receiver") as client:
            return (await client.request(method, path, **request)).status_code  # type: ignore[arg-type]

    return asyncio.run(send())


def signed(body: bytes) -> dict[str, str]:
    timestamp = str(int(time.time()))
    return {
        DELIVERY_ID: "d-1",
        TIMESTAMP: timestamp,
        SIGNATURE: signature(SECRET, "d-1", timestamp, body),
    }


async def endless() -> AsyncIterator[bytes]:
    """A body that says nothing of its length, and comes a little at a time."""
    while True:
        yield b" " * 1024


async def stalled() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(60)


def test_signed_delivery_that_nothing_follows_is_let_pass(tmp_path: Path) -> None:
    assert ask(tmp_path, content=UNFOLLOWED, headers=signed(UNFOLLOWED)) == 204


def test_signed_nonsense_is_refused(tmp_path: Path) -> None:
    assert ask(tmp_path, content=b"{}", headers=signed(b"{}")) == 400


def test_unsigned_delivery_is_refused(tmp_path: Path) -> None:
    assert ask(tmp_path, content=UNFOLLOWED) == 401


def test_long_body_is_refused(tmp_path: Path) -> None:
    assert ask(tmp_path, content=b" " * (MOST_BYTES + 1)) == 413


def test_endless_body_is_refused(tmp_path: Path) -> None:
    assert ask(tmp_path, content=endless()) == 413


def test_slow_body_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiver_module, "MOST_SECONDS", 0.1)
    assert ask(tmp_path, content=stalled()) == 408


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/", "/mlflow/../configs"])
def test_nothing_else_is_there(tmp_path: Path, path: str) -> None:
    assert ask(tmp_path, "GET", path) == 404


def test_health_says_nothing_but_that_it_is_there(tmp_path: Path) -> None:
    assert ask(tmp_path, "GET", "/health") == 200
