"""Checks a webhook from MLflow: its signature, that it is new, and whether it is about an alias.

The functions are pure. No part of a delivery is used before its signature was verified. MLflow signs
`<delivery id>.<timestamp>.<body>` with HMAC-SHA256, as the Standard Webhooks specification says.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, ValidationError

SIGNATURE, TIMESTAMP, DELIVERY_ID = "x-mlflow-signature", "x-mlflow-timestamp", "x-mlflow-delivery-id"
MOST_BYTES = 64 << 10
WINDOW_S = 300.0
"""The greatest accepted difference between a delivery's timestamp and this host's clock."""
MOST_REMEMBERED = 10_000
MOST_DIGITS, MOST_ID_CHARACTERS = 12, 100


class RefusedError(Exception):
    """A delivery that is refused. `status` is the HTTP status of the answer.

    The message is meant for this program's log; the sender does not see it.
    """

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
    data: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMoved:
    """An alias of a registered model points at another version."""

    model: str
    alias: str
    version: int


@dataclass(slots=True)
class Replays:
    """Remembers recent deliveries, so that none is accepted twice.

    Deliveries that are no longer remembered are refused because of their timestamp. When there are more than
    can be remembered, new ones are refused.
    """

    _seen: dict[str, float] = field(default_factory=dict)

    def take(self, delivery_id: str, *, now: float) -> None:
        """Accepts a delivery once.

        Raises: RefusedError when it was accepted before, or there are too many.
        """
        for old in [each for each, taken in self._seen.items() if taken < now - 2 * WINDOW_S]:
            del self._seen[old]
        if delivery_id in self._seen:
            raise RefusedError(409, f"delivery {delivery_id} again")
        if len(self._seen) >= MOST_REMEMBERED:
            raise RefusedError(429, "more deliveries than can be remembered")
        self._seen[delivery_id] = now

    def give_back(self, delivery_id: str) -> None:
        """Forgets a delivery that could not be acted on, so that the sender may try again."""
        self._seen.pop(delivery_id, None)


def verify(headers: Mapping[str, str], body: bytes, secret: str, *, now: float) -> str:
    """Verifies that the holder of `secret` signed the body within `WINDOW_S` of now.

    Returns the delivery id. `headers` have lower-case names; `now` is in Unix seconds.
    Raises: RefusedError when the headers, the signature or the time are wrong.
    """
    delivery_id, timestamp = headers.get(DELIVERY_ID, ""), headers.get(TIMESTAMP, "")
    plain = timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= MOST_DIGITS
    if not plain or not 0 < len(delivery_id) <= MOST_ID_CHARACTERS:
        raise RefusedError(401, "without a delivery id and a timestamp")
    expected = signature(secret, delivery_id, timestamp, body)
    offered = headers.get(SIGNATURE, "").split(" ")  # several while a secret is being changed
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in offered):
        raise RefusedError(401, "with a wrong signature")
    if abs(now - int(timestamp)) > WINDOW_S:
        raise RefusedError(401, f"signed {now - int(timestamp):.0f} s ago")
    return delivery_id


def signature(secret: str, delivery_id: str, timestamp: str, body: bytes) -> str:
    """The signature as the header contains it: `v1,<base64>`."""
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()


def alias_moved(body: bytes) -> AliasMoved | None:
    """The moved alias that a verified body reports; None when it reports something else.

    Raises: RefusedError when the body is not an event from MLflow.
    """
    try:
        event = _Body.model_validate_json(body)
        if (event.entity, event.action) != ("model_version_alias", "created"):
            return None
        moved = _Alias.model_validate(event.data)
        return AliasMoved(model=moved.name, alias=moved.alias, version=int(moved.version))
    except (ValidationError, ValueError) as error:
        raise RefusedError(400, f"not an event of MLflow's: {type(error).__name__}") from error
