"""How long work tells the person waiting where it is.

A step reports; whoever has called `listen` hears. In an isolated process the reports travel over the
pipe to the parent and are repeated there.
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
    """`done` of `total` units of a step; total 0 means unknown. `ended` is said once, with a summary.

    values: of the unit just done, by name, where the step measures something.
    waits: nothing is done but to wait for what the note says.
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
"""A wait up to this long needs no word."""
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
    """Tells every listener where a step is; free when nobody listens."""
    tell(Progress(step=step, done=done, total=total, note=note, values=values or {}))


def end(step: str, summary: str = "") -> None:
    """Tells every listener that a step has ended, and what came out."""
    tell(Progress(step=step, done=1, total=1, note=summary, ended=True))


def tell(event: Progress) -> None:
    """Passes an event on as it is."""
    for listener in tuple(_listeners):
        listener(event)


@contextmanager
def waiting(step: str, told: Callable[[float], str]) -> Iterator[None]:
    """Tells every listener, from `QUIET_S` on and every second, what is waited for while the context is open.

    told: makes a sentence of the seconds so far.
    """
    started, over = time.monotonic(), threading.Event()

    def tell_on() -> None:
        pause = QUIET_S
        while not over.wait(pause):
            note = told(time.monotonic() - started)
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
