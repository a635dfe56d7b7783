"""The only module that uses private parts of CPython.

Each function checks that the part it uses exists, and raises an error when it does not. So a Python version
that changed it is refused at once, rather than misbehaving silently. docs/upgrading.md says what to check.
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
"""The local variable in the fork server's `main` that holds the pipe which its clients keep open."""


def fork_server_pipe() -> int | None:
    """The pipe of multiprocessing's fork server that closes when its last client has ended.

    None when this process is not a fork server.
    Raises: RuntimeError when it is one, but the pipe is not found.
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
    """Makes multiprocessing keep its sockets in the folder that `make_folder` returns.

    The folder that multiprocessing would make has a name that does not say which process owns it. A process
    that has a folder already keeps it. The folder is removed when this process ends.
    Raises: RuntimeError when multiprocessing then uses another folder all the same.
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
    """Calls `function` when this process ends, even an isolated one; higher priorities go first."""
    multiprocessing.util.Finalize(None, function, args=arguments, exitpriority=priority)


def end_of_process() -> None:
    """Runs multiprocessing's own clean-up, for a process that is about to leave with `os._exit`.

    It frees named semaphores and calls the functions that `at_exit` has registered.
    Raises: RuntimeError when multiprocessing has no such clean-up.
    """
    finish = getattr(multiprocessing.util, "_exit_function", None)
    if finish is None:
        raise _changed("no `multiprocessing.util._exit_function`")
    finish()


def start_fork_server() -> None:
    """Starts multiprocessing's fork server, which then imports its preload modules."""
    forkserver.ensure_running()


def _changed(found: str) -> RuntimeError:
    version = ".".join(map(str, sys.version_info[:3]))
    return RuntimeError(
        f"found: Python {version} with {found}\nrequired: multiprocessing as in Python 3.11\n"
        "remedy: see docs/upgrading.md, and correct tasks/process/cpython.py"
    )
