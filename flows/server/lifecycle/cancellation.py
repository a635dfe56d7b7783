"""Cancels a running program within two seconds on Ctrl-C and SIGTERM.

All child processes are killed, and the runs in Prefect and MLflow are marked as cancelled.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING
from uuid import UUID

import psutil

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.process import isolated as process
from paddle_int8.tasks.process import ownership, temporary
from paddle_int8.tasks.store import folder as store

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import State

BUDGET_S = 1.5
SETTLE_S = 0.1
_records: list[Callable[[], None]] = []


def on_cancel(record: Callable[[], None]) -> Callable[[], None]:
    """Makes a cancellation call `record`, in a thread. All such calls together have `BUDGET_S`.

    Call the result once the run that `record` would mark has ended: the program may run other flows after it.
    """
    _records.append(record)
    return partial(_records.remove, record)


@contextmanager
def cancelled_with_the_program(flow_run_id: str | None) -> Iterator[None]:
    """While open, the flow run ends in Prefect too when the user cancels the program. None: no run."""
    forget = on_cancel(partial(cancel_in_prefect, UUID(flow_run_id))) if flow_run_id else lambda: None
    try:
        yield
    finally:
        forget()


def cancel_in_prefect(flow_run_id: UUID) -> None:
    """Marks the flow run and its unfinished task runs as Cancelled, so that none stays Running."""
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled

    with get_client(sync_client=True) as client:
        end_in_prefect(client, flow_run_id, Cancelled(message="cancelled by the user"))


def end_in_prefect(client: SyncPrefectClient, flow_run_id: UUID, state: State) -> None:
    """Puts the flow run and its unfinished task runs into the final state `state`.

    Prefect's server learns of task runs from a queue of events, late and out of order. So it is asked for
    unfinished ones until there are none.
    """
    client.set_flow_run_state(flow_run_id, state, force=True)
    while _end_task_runs(client, flow_run_id, state):
        time.sleep(SETTLE_S)


def _end_task_runs(client: SyncPrefectClient, flow_run_id: UUID, state: State) -> int:
    """Ends the unfinished task runs and returns how many there were."""
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    flow_runs = FlowRunFilter(id=FlowRunFilterId(any_=[flow_run_id]))
    unfinished = [
        run
        for run in client.read_task_runs(flow_run_filter=flow_runs, limit=200)
        if run.state is None or not run.state.is_final()
    ]
    for run in unfinished:
        client.set_task_run_state(run.id, state, force=True)
    return len(unfinished)


def _record() -> bool:
    """Calls all functions given to `on_cancel` at once. Returns False when one failed or took too long."""
    calls = [ThreadPoolExecutor(max_workers=1).submit(record) for record in _records]
    wait(calls, BUDGET_S)
    return all(call.done() and call.exception() is None for call in calls)


@contextmanager
def cancellable(say: Callable[[str], None]) -> Iterator[None]:
    """While the context is open, SIGINT and SIGTERM cancel the program.

    The isolated processes are killed, the functions given to `on_cancel` are called, temporary folders are
    removed, and the program exits with 128 + the number of the signal: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def cancel(number: int, _frame: FrameType | None) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_IGN)
        process.kill_all()
        recorded = _record()
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
        store.sweep(Settings().store)
        temporary.remove_own()
        ownership.forget()
        say(
            f"cancelled ({signal.Signals(number).name}); nothing was left half-written"
            + ("" if recorded else "; Prefect or MLflow did not answer, and may still show it as running")
        )
        os._exit(128 + number)

    before = {each: signal.signal(each, cancel) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
