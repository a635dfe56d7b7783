"""MLflow's webhooks: is this one of ours, new, whole and about an alias? Pure; nothing is believed before.

MLflow signs `<delivery id>.<timestamp>.<body>` with HMAC-SHA256, as Standard Webhooks does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

SIGNATURE, TIMESTAMP, DELIVERY_ID = "x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id"
MOST_BYTES = 64 << 10
WINDOW_S = 300.0
"""How far the sender's clock and a slow network may be away from ours."""
MOST_REMEMBERED = 10_000
MOST_DIGITS, MOST_ID_CHARACTERS = 12, 100


class RefusedError(Exception):
    """`status` is the answer's HTTP status; the text is for our log, not for the sender."""

    def __init__(self, status: int, reason: str) -> None:
        self.status = status
        super().__init__(reason)


class _Alias(BaseModel):
    name: str
    alias: str
    version: str


class _Body(BaseModel):
    model_config = ConfigDict(extra="ignore")

    entity: str
    action: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMoved:
    """An alias of a registered model points at another version."""

    model: str
    alias: str
    version: int


@dataclass(slots=True)
class Replays:
    """The deliveries of the last window: none is taken twice.

    Older ones are refused by their timestamp, so nothing needs to be kept longer. When more come than
    can be remembered, the new ones are refused.
    """

    _seen: dict[str, float] = field(default_factory=dict)

    def take(self, delivery_id: str, *, now: float) -> None:
        """Raises: RefusedError when it was taken before."""
        for old in [each for each, taken in self._seen.items() if taken < now - 2 * WINDOW_S]:
            del self._seen[old]
        if delivery_id in self._seen:
            raise RefusedError(409, f"delivery {delivery_id} again")
        if len(self._seen) >= MOST_REMEMBERED:
            raise RefusedError(429, "more deliveries than can be remembered")
        self._seen[delivery_id] = now

    def give_back(self, delivery_id: str) -> None:
        """It could not be acted on: the sender may try again."""
        self._seen.pop(delivery_id, None)


def verify(headers: Mapping[str, str], body: bytes, secret: str, *, now: float) -> str:
    """The delivery's id, when the body is what the holder of `secret` signed within the window.

    `headers` by lower-case name; `now` in Unix seconds.
    Raises: RefusedError.
    """
    delivery_id, timestamp = headers.get(DELIVERY_ID, ""), headers.get(TIMESTAMP, "")
    plain = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MOST_DIGITS
    if not plain or not 0 < len(delivery_id) <= MOST_ID_CHARACTERS:
        raise RefusedError(401, "without a delivery id and a timestamp")
    expected = signature(secret, delivery_id, timestamp, body)
    offered = headers.get(SIGNATURE, "").split(" ")  # more than one while a secret is changed
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in offered):
        raise RefusedError(401, "with a wrong signature")
    if abs(now - int(timestamp)) > WINDOW_S:
        raise RefusedError(401, f"signed {now - int(timestamp):.0f} s ago")
    return delivery_id


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """As it stands in the header: `v1,<base64>`."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def alias_moved(body: bytes) -> AliasMoved | None:
    """What a verified body says, None when it is about something else.

    Raises: RefusedError when it is no event of MLflow's.
    """
    try:
        event = _Body.model_validate_json(body)
        if (event.entity, event.action) != ("model_version_alias", "created"):
            return None
        moved = _Alias.model_validate(event.data)
        return AliasMoved(model=moved.name, alias=moved.alias, version=int(moved.version))
    except (ValidationError, ValueError) as error:
        raise RefusedError(400, f"not an event of MLflow's: {type(error).__name__}") from error
