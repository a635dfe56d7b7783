"""The nightly retraining: its schedule starts one run at a time, and people are told the verdict."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.e2e.hurried import MODEL, NIGHTLY, UNTIL_NIGHT
from tests.e2e.servers import ENDED, PrefectServer, wait_until
from tests.e2e.webhook import Webhook

pytestmark = pytest.mark.paddle

WAITING = "AwaitingConcurrencySlot"


def _scheduled(server: PrefectServer) -> dict[str, Any]:
    """The first run that the schedule made, {} before there is one."""
    return next((run for run in server.runs(NIGHTLY) if run["auto_scheduled"]), {})


def test_nightly_retraining_is_started_by_its_cron_queues_the_next_and_tells_the_webhook(
    working: PrefectServer, told: Webhook
) -> None:
    deployment = working.deployments()[NIGHTLY]["id"]
    started = wait_until(
        lambda: _scheduled(working),
        lambda run: run.get("start_time"),
        seconds=UNTIL_NIGHT.total_seconds() + 150,
        what="a run by the schedule",
    )
    assert datetime.fromisoformat(started["expected_start_time"]).second == 0
    working.ask(f"deployments/{deployment}/pause_deployment", {})
    asked = [working.start(NIGHTLY, {}) for _ in range(2)]
    queued = wait_until(
        lambda: [working.run(each) for each in asked],
        lambda runs: any(run["state_name"] == WAITING for run in runs),
        seconds=90,
        what="one of two runs in the queue",
    )
    waiting = next(run for run in queued if run["state_name"] == WAITING)
    assert waiting["start_time"] is None
    for each in asked:
        working.force(each, type="CANCELLED")
    ended = wait_until(
        lambda: _scheduled(working), lambda run: run["state_type"] in ENDED, seconds=150, what="its end"
    )
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    wait_until(lambda: told.about(MODEL), bool, seconds=30, what="a word to the webhook")
    assert set(told.about(MODEL)) == {"paddle-int8.release.rejected"}  # once for each run that released
