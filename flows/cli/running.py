"""Runs a flow in the program: its configuration, its surroundings, and what the waiting person sees."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from paddle_int8.flows.cli.console import err, guard, say_cancelled

P = TypeVar("P")
R = TypeVar("R")
RECORDING = "Prefect records what was done, and starts what is next"

if TYPE_CHECKING:
    from paddle_int8.tasks.config.release import ReleaseConfig
    from paddle_int8.tasks.config.settings import Settings


def load_release(config: Path) -> ReleaseConfig:
    """The release that a YAML file describes. Functions beside it, and in this folder, can be named in it."""
    from paddle_int8.tasks.config.file import load_config

    # Users keep their functions in these folders. They come last, so that no file there replaces a library.
    sys.path += [str(Path.cwd()), str(config.resolve().parent)]
    return guard(lambda: load_config(config))


def prepared() -> Settings:
    """The settings, after the surroundings of a flow are made. Nothing may have imported Prefect before."""
    from paddle_int8.flows.cli.embedded import surroundings
    from paddle_int8.tasks.config.settings import Settings

    settings = Settings()
    guard(lambda: surroundings.prepare(settings))
    return settings


def run_shown(settings: Settings, load: Callable[[], Callable[[P], R]], argument: P) -> R:
    """The result of the flow that `load` imports. Its steps are shown while it runs."""
    from paddle_int8.flows.cli.embedded import surroundings
    from paddle_int8.flows.cli.terminal import StepDisplay
    from paddle_int8.flows.server.lifecycle.cancellation import cancellable

    with cancellable(say_cancelled), StepDisplay(err, between=RECORDING).shown():
        return guard(lambda: surroundings.run_flow(settings, load, argument))
