"""Progress reports, by which long work shows the waiting person how far it is.

A step reports, and every function that was passed to `listen` receives the report. Reports of an isolated
process travel through its pipe to the parent, which passes them on to its own listeners.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace

from paddle_int8.tasks.contracts.wording import so_far
from paddle_int8.tasks.process.pace import Patience

WARNING = "warning: "
"""What a line of a step's summary begins with when it warns; a terminal shows such lines in yellow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One progress report: `done` of `total` units of a step are finished; a total of 0 means unknown.

    note: what the step is doing, or its summary when `ended` is true, which is reported once.
    values: what the step measured in the unit just finished, by name.
    waits: whether the step is only waiting, for what the note says.
    within: the step that a person knows, where `step` is a part of it or that step itself.
    limit_s: how long `step` may take at most; None where it has no limit.
    """

    step: str
    done: int
    total: int
    note: str = ""
    ended: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    waits: bool = False
    within: str = ""
    limit_s: float | None = None

    @property
    def whole(self) -> str:
        """The step that a person knows."""
        return self.within or self.step


FAILED = "failed"
"""The summary of a step that ended in an error."""

QUIET_S = 2.0
"""A wait of up to this many seconds is not reported."""
AGAIN_S = 1.0

Listener = Callable[[Progress], None]
_listeners: list[Listener] = []
_within: ContextVar[str] = ContextVar("within", default="")
_limit_s: ContextVar[float | None] = ContextVar("limit_s", default=None)


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Calls `listener` with every report made in this process while the context is open."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def within(step: str) -> Iterator[None]:
    """Marks every report of this thread as one of a part of `step`, those of its isolated processes too."""
    before = _within.set(step)
    try:
        yield
    finally:
        _within.reset(before)


@contextmanager
def stage(step: str) -> Iterator[list[str]]:
    """Reports the beginning and the end of a step; the texts appended to the list make up its summary."""
    summary: list[str] = []
    ended = FAILED
    with within(step):
        report(step, 0, 0)
        try:
            yield summary
            ended = " · ".join(summary) or "done"
        finally:
            end(step, ended)


@contextmanager
def limited(step: str, limit_s: float, doing: str = "") -> Iterator[None]:
    """Reports the beginning and the end of `step`, which may be a part of another one, and its time limit.

    The limit is marked on every report that this thread makes or passes on meanwhile.
    doing: what the step does at first.
    """
    before = _limit_s.set(limit_s)
    try:
        report(step, 0, 0, doing)
        yield
    finally:
        _limit_s.reset(before)
        end(step)


def report(
    step: str, done: int, total: int, note: str = "", values: Mapping[str, float] | None = None
) -> None:
    """Reports to every listener how far a step is; it costs nothing when nobody listens."""
    tell(Progress(step=step, done=done, total=total, note=note, values=values or {}))


def end(step: str, summary: str = "") -> None:
    """Reports to every listener that a step has ended, with a summary of its result."""
    tell(Progress(step=step, done=1, total=1, note=summary, ended=True))


def tell(event: Progress) -> None:
    """Passes a report on to every listener."""
    limit_s = _limit_s.get() if event.limit_s is None else event.limit_s
    told = replace(event, within=event.within or _within.get(), limit_s=limit_s)
    for listener in tuple(_listeners):
        listener(told)


@contextmanager
def waiting(step: str, what: str, patience: Patience | None = None) -> Iterator[None]:
    """Reports every second, after the first `QUIET_S`, for `what` is waited while the context is open.

    patience: the limit on the wait, and when it began; without one it begins now and has no limit.
    """
    started, over = time.monotonic(), threading.Event()

    def told() -> str:
        if patience is None:
            return f"{what}: {so_far(time.monotonic() - started, None)}"
        return f"{what}: {so_far(patience.waited_s, patience.limit_s)}"

    def tell_on() -> None:
        pause = QUIET_S
        while not over.wait(pause):
            tell(Progress(step=step, done=0, total=0, note=told(), waits=True))
            pause = AGAIN_S

    tell(Progress(step=step, done=0, total=0, waits=True))
    teller = threading.Thread(target=copy_context().run, args=(tell_on,), name=f"tell of {step}", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        end(step)
