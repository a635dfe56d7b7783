"""Progress reports, by which long work shows the waiting person how far it is.

A step reports, and every function that was passed to `listen` receives the report. Reports of an isolated
process travel through its pipe to the parent, which passes them on to its own listeners.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

WARNING = "warning: "
"""What a line of a step's summary begins with when it warns; a terminal shows such lines in yellow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One progress report: `done` of `total` units of a step are finished; a total of 0 means unknown.

    note: what the step is doing, or its summary when `ended` is true, which is reported once.
    values: what the step measured in the unit just finished, by name.
    waits: whether the step is only waiting, for what the note says.
    """

    step: str
    done: int
    total: int
    note: str = ""
    ended: bool = False
    values: Mapping[str, float] = field(default_factory=dict)
    waits: bool = False


FAILED = "failed"
"""The summary of a step that ended in an error."""

QUIET_S = 2.0
"""A wait of up to this many seconds is not reported."""
AGAIN_S = 1.0

Listener = Callable[[Progress], None]
_listeners: list[Listener] = []


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Calls `listener` with every report made in this process while the context is open."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


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
    for listener in tuple(_listeners):
        listener(event)


@contextmanager
def waiting(step: str, sentence: Callable[[float], str]) -> Iterator[None]:
    """Reports every second, after the first `QUIET_S`, what is waited for while the context is open.

    sentence: a function that makes the sentence from the seconds waited so far.
    """
    started, over = time.monotonic(), threading.Event()

    def tell_on() -> None:
        pause = QUIET_S
        while not over.wait(pause):
            note = sentence(time.monotonic() - started)
            tell(Progress(step=step, done=0, total=0, note=note, waits=True))
            pause = AGAIN_S

    report(step, 0, 0)
    teller = threading.Thread(target=tell_on, name=f"tell of {step}", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        end(step)
