"""Deliveries that MLflow has just signed are accepted, all others are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.webhooks.delivery import _generate_hmac_signature

from paddle_int8.tasks.following.webhook import (
    DELIVERY_ID,
    MOST_REMEMBERED,
    SIGNATURE,
    TIMESTAMP,
    WINDOW_S,
    AliasMoved,
    RefusedError,
    Replays,
    alias_moved,
    signature,
    verify,
)

SECRET, NOW = "a secret of some length", 1_800_000_000.0
DATA = {"name": "classifier", "alias": "champion", "version": "7"}
EVENT = {
    "entity": "model_version_alias",
    "action": "created",
    "timestamp": "2027-01-15T08:00:00+00:00",
    "data": DATA,
}
BODY = json.dumps(EVENT).encode()


def headers(
    body: bytes = BODY, secret: str = SECRET, at: float = NOW, delivery_id: str = "d-1"
) -> dict[str, str]:
    timestamp = str(int(at))
    return {
        DELIVERY_ID: delivery_id,
        TIMESTAMP: timestamp,
        SIGNATURE: signature(secret, delivery_id, timestamp, body),
    }


def refused(action: Any, *arguments: Any, **named: Any) -> int:
    with pytest.raises(RefusedError) as caught:
        action(*arguments, **named)
    return caught.value.status


def test_signature_is_mlflows_own() -> None:
    assert signature(SECRET, "d-1", "17", BODY) == _generate_hmac_signature(
        SECRET, "d-1", "17", BODY.decode()
    )


def test_signed_delivery_is_taken() -> None:
    assert verify(headers(), BODY, SECRET, now=NOW) == "d-1"
    assert alias_moved(BODY) == AliasMoved(model="classifier", alias="champion", version=7)


@pytest.mark.parametrize("seconds", [-WINDOW_S, WINDOW_S])
def test_delivery_at_the_edge_of_the_window_is_taken(seconds: float) -> None:
    assert verify(headers(at=NOW + seconds), BODY, SECRET, now=NOW) == "d-1"


@pytest.mark.parametrize("seconds", [-WINDOW_S - 1, WINDOW_S + 1])
def test_delivery_beyond_the_window_is_refused(seconds: float) -> None:
    assert refused(verify, headers(at=NOW + seconds), BODY, SECRET, now=NOW) == 401


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({SIGNATURE: ""}, id="no signature"),
        pytest.param({SIGNATURE: "v1,"}, id="empty signature"),
        pytest.param({SIGNATURE: "v1,é"}, id="signature beyond ASCII"),
        pytest.param({SIGNATURE: signature("another secret", "d-1", str(int(NOW)), BODY)}, id="other secret"),
        pytest.param({TIMESTAMP: str(int(NOW) + 1)}, id="other timestamp"),
        pytest.param({DELIVERY_ID: "d-2"}, id="other delivery"),
        pytest.param({DELIVERY_ID: ""}, id="no delivery"),
        pytest.param({DELIVERY_ID: "d" * 101}, id="endless delivery"),
        pytest.param({TIMESTAMP: ""}, id="no timestamp"),
        pytest.param({TIMESTAMP: "9" * 5000}, id="endless timestamp"),
        pytest.param({TIMESTAMP: "-5"}, id="timestamp before time"),
        pytest.param({TIMESTAMP: "٣"}, id="timestamp in other digits"),
        pytest.param({TIMESTAMP: "nan"}, id="timestamp that is no number"),
    ],
)
def test_changed_headers_are_refused(changes: dict[str, str]) -> None:
    assert refused(verify, headers() | changes, BODY, SECRET, now=NOW) == 401


@given(st.binary(max_size=40))
def test_any_other_body_is_refused(body: bytes) -> None:
    assert body == BODY or refused(verify, headers(), body, SECRET, now=NOW) == 401


def test_one_of_two_signatures_is_enough_while_a_secret_changes() -> None:
    both = headers()[SIGNATURE] + " " + headers(secret="the next secret")[SIGNATURE]
    assert verify(headers() | {SIGNATURE: both}, BODY, SECRET, now=NOW) == "d-1"


def test_replay_is_refused_until_its_timestamp_would_be() -> None:
    replays = Replays()
    replays.take("d-1", now=NOW)
    replays.take("d-2", now=NOW)
    assert refused(replays.take, "d-1", now=NOW + 2 * WINDOW_S) == 409
    replays.take("d-1", now=NOW + 2 * WINDOW_S + 1)


def test_delivery_that_could_not_be_acted_on_may_come_again() -> None:
    replays = Replays()
    replays.take("d-1", now=NOW)
    replays.give_back("d-1")
    replays.take("d-1", now=NOW)


def test_flood_of_deliveries_does_not_push_out_those_remembered() -> None:
    replays = Replays()
    for number in range(MOST_REMEMBERED):
        replays.take(f"d-{number}", now=NOW)
    assert refused(replays.take, "one more", now=NOW) == 429
    assert refused(replays.take, "d-0", now=NOW) == 409


@pytest.mark.parametrize(
    ("entity", "action"), [("model_version_alias", "deleted"), ("model_version", "created")]
)
def test_other_events_are_not_ours(entity: str, action: str) -> None:
    assert alias_moved(json.dumps({**EVENT, "entity": entity, "action": action}).encode()) is None


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"{", id="half a body"),
        pytest.param(b"\xff\xfe", id="not text"),
        pytest.param(json.dumps({**EVENT, "data": {}}).encode(), id="no data"),
        pytest.param(
            json.dumps({**EVENT, "data": {**EVENT["data"], "version": "x"}}).encode(), id="no version"
        ),  # type: ignore[dict-item]
        pytest.param(b"[" * 60_000, id="deep nesting"),
    ],
)
def test_body_that_is_no_event_is_refused(body: bytes) -> None:
    assert refused(alias_moved, body) == 400
