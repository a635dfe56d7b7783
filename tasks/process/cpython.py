"""Everything of CPython that is not public, in one place.

Each function looks for what it takes and fails with a message when it is not there, so that another Python
is refused at once instead of behaving otherwise. docs/upgrading.md says what to check.
"""

from __future__ import annotations

import multiprocessing.process
import multiprocessing.util
import shutil
import sys
from collections.abc import Callable
from multiprocessing import forkserver
from types import FrameType

FORK_SERVER = "multiprocessing.forkserver"
ALIVE = "alive_r"
"""The local variable of the fork server's `main` with the pipe that its clients hold open."""


def fork_server_pipe() -> int | None:
    """In multiprocessing's fork server the pipe that ends when its last client does; elsewhere None.

    Raises: RuntimeError when this is a fork server whose pipe is not found.
    """
    if not any(FORK_SERVER in argument for argument in sys.orig_argv):
        return None
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == FORK_SERVER and ALIVE in frame.f_locals:
            descriptor: int = frame.f_locals[ALIVE]
            return descriptor
        frame = frame.f_back
    raise _changed(f"no local variable {ALIVE} in {FORK_SERVER}.main")


def keep_sockets_in(make_folder: Callable[[], str]) -> None:
    """Has multiprocessing keep its sockets in the folder that `make_folder` makes, until this process ends.

    multiprocessing's own folder bears a name that tells nobody whose it is. A process that has a folder
    already keeps it.
    Raises: RuntimeError when multiprocessing keeps its folder elsewhere.
    """
    config = getattr(multiprocessing.process.current_process(), "_config", None)
    if not isinstance(config, dict):
        raise _changed("no `_config` of multiprocessing's current process")
    if config.get("tempdir") is None:
        config["tempdir"] = folder = make_folder()
        at_exit(shutil.rmtree, folder, True, priority=-100)
        if multiprocessing.util.get_temp_dir() != folder:
            raise _changed("multiprocessing.util.get_temp_dir() is not what `_config` says")


def at_exit(function: Callable[..., object], *arguments: object, priority: int) -> None:
    """Calls `function` when this process ends, isolated ones included; higher priorities first."""
    multiprocessing.util.Finalize(None, function, args=arguments, exitpriority=priority)


def end_of_process() -> None:
    """What multiprocessing does at the end of a process that is about to leave with `os._exit`.

    It frees named semaphores and calls what `at_exit` has registered.
    Raises: RuntimeError when there is no such function.
    """
    finish = getattr(multiprocessing.util, "_exit_function", None)
    if finish is None:
        raise _changed("no `multiprocessing.util._exit_function`")
    finish()


def start_fork_server() -> None:
    """Starts the fork server, which then imports its preload."""
    forkserver.ensure_running()


def _changed(found: str) -> RuntimeError:
    version = ".".join(map(str, sys.version_info[:3]))
    return RuntimeError(
        f"found: Python {version} with {found}\nrequired: multiprocessing as in Python 3.11\n"
        "remedy: see docs/upgrading.md, and correct tasks/process/cpython.py"
    )
