"""Runs one function in a process of its own.

Paddle's static mode and global scope, oneDNN's instruction set and OpenMP's threads are global to a
process, and a bad model can kill the interpreter. So every step that uses Paddle runs in an isolated process:

- It is forked from a clean fork server, which has imported Paddle and run nothing.
- It has its own environment, working folder, log file, time limit and session.
- It is killed with all its children when it hangs, or when its parent is interrupted or dies. The fork
  server is killed with the parent as well (`tasks/process/lifeline.py`).

A pipe brings progress reports back, and finally a result or an error. Everything that Paddle, oneDNN and
PaddleSlim print goes to the log.
"""

from __future__ import annotations

import ctypes
import errno
import json
import logging
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import IsolatedProcessError, PipelineError, storage_error
from paddle_int8.tasks.process import cpython, progress, temporary
from paddle_int8.tasks.process.lifeline import Lifeline
from paddle_int8.tasks.process.limits import default_threads

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

T = TypeVar("T")
LAST_LINES = 15
STEPS = "steps.jsonl"
GRACE_S = 2.0

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["paddle_int8.tasks.validation.preload"])
_starting = threading.Lock()
_children: set[BaseProcess] = set()
_cancelled = threading.Event()

logger = logging.getLogger(__name__)


def run_isolated(
    function: Callable[..., T],
    *arguments: object,
    step: str,
    log: Path,
    timeout_s: float,
    environment: Mapping[str, str] | None = None,
    doing: str = "",
) -> T:
    """Runs `function(*arguments)` in a process of its own, and returns its result.

    function: a function at the top level of a module.
    step: the name of the step, for progress reports and messages.
    log: the file that receives everything that the process prints.
    environment: variables that are added to those of this process. Without one that sets the number of
    threads, the process starts as many as the CPU affinity and the quota let compute at once.
    doing: what a waiting person is told until the process reports something itself.
    Raises: the PipelineError that the function raised; StorageError when the disk is full or `log` cannot be
    written; IsolatedProcessError when the function raised anything else, the process died, or it ran longer
    than `timeout_s`.
    """
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(error, log.parent) from error
    with progress.limited(step, timeout_s, doing):
        folder = tempfile.mkdtemp(prefix=temporary.prefix())
        messages, pipe = _context.Pipe(duplex=False)
        lifeline, hold = _context.Pipe(duplex=False)
        environment = {**default_threads(), **os.environ, **Settings().elsewhere(), **(environment or {})}
        given = (Lifeline(lifeline), pipe, environment, folder, log, function, arguments)
        child = _context.Process(target=_child_main, args=given, name=step)
        try:
            with _starting, _without_main_module():
                if _cancelled.is_set():
                    raise KeyboardInterrupt
                temporary.name_multiprocessing_folder()
                _children.add(child)
                child.start()
            pipe.close()
            lifeline.close()
            kind, value = _listen(messages, deadline=time.monotonic() + timeout_s)
        finally:
            if child.pid is not None:
                _kill(child)
            _children.discard(child)
            messages.close()
            hold.close()
            shutil.rmtree(folder, ignore_errors=True)
    if _cancelled.is_set():
        raise KeyboardInterrupt
    if kind == "result":
        return cast("T", value)
    if isinstance(value, PipelineError):
        raise value
    raise _death(kind, value, child.exitcode or 0, step=step, log=log, timeout_s=timeout_s)


def warm_up() -> None:
    """Starts the fork server for isolated processes, and returns at once while the server imports Paddle."""
    with _starting, _without_main_module():
        temporary.name_multiprocessing_folder()
        cpython.start_fork_server()


def kill_all() -> None:
    """Kills every isolated process of this process and prevents new ones, after Ctrl-C. Their folders remain.

    It waits for no lock, since the thread that the signal interrupted may hold it. An isolated process that
    is just being started is killed when this process ends.
    """
    _cancelled.set()
    for child in tuple(_children):
        _kill_session(child)


def last_lines(log: Path, count: int = LAST_LINES) -> str:
    """The last lines of a log, each cut to 300 characters, for a message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return "\n".join(line[:300] for line in lines[-count:])


@contextmanager
def _without_main_module() -> Iterator[None]:
    """Keeps multiprocessing from importing the caller's main program, with all its imports, in the child."""
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name, None) for name in ("__spec__", "__file__")}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


def _listen(messages: Connection, *, deadline: float) -> tuple[str, object]:
    """Passes on progress reports until the last message, and returns that.

    It is ("result", value), ("error", value), ("timeout", None), or ("end", None) when the process died.
    """
    while messages.poll(max(0.0, deadline - time.monotonic())):
        try:
            kind, value = messages.recv()
        except EOFError:
            return "end", None
        if kind != "progress":
            return kind, value
        progress.tell(value)
    return "timeout", None


def _kill(child: BaseProcess) -> None:
    """Kills the child's whole session, after a moment in which a child that has answered ends by itself."""
    child.join(timeout=0.2)
    _kill_session(child)
    child.join(timeout=GRACE_S)


def _kill_session(child: BaseProcess) -> None:
    if child.pid is None:
        return
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(ProcessLookupError):  # it may not have made its session yet
        os.kill(child.pid, signal.SIGKILL)


def _death(
    kind: str, value: object, status: int, *, step: str, log: Path, timeout_s: float
) -> IsolatedProcessError:
    if kind == "error":
        found, required = f"{step} failed: {value}", f"{step} to finish"
        remedy = "see the log; if the model is the cause, try another algorithm or skip the operator"
    elif kind == "timeout":
        found, required = f"{step} still running after {timeout_s:g} s", f"an end within {timeout_s:g} s"
        remedy = "raise `timeout_s` of this section, or use fewer samples"
    else:
        how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        found, required = f"{step} died: {how}", "a process that lives to its end"
        remedy = (
            "the kernel kills for memory: use a smaller batch or fewer samples, or give it more"
            if status == -signal.SIGKILL
            else "a native crash, often an operator that Paddle cannot run: see the log's last operator"
        )
    return IsolatedProcessError(
        found=f"{found}\nlast lines of {log}:\n{last_lines(log)}", required=required, remedy=remedy
    )


def record_usage(step: str, folder: Path, began: float) -> None:
    """Appends a line to `steps.jsonl` in `folder`: when the step ran (Unix time) and its peak memory.

    began: time of the monotonic clock, so that a change of the host's clock does not alter the duration.
    """
    ended = time.time()
    usage = {
        "step": step,
        "started": ended - (time.monotonic() - began),
        "ended": ended,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / STEPS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(usage) + "\n")


def _child_main(
    _lifeline: Lifeline,
    pipe: Connection,
    environment: dict[str, str],
    folder: str,
    log: Path,
    function: Callable[..., object],
    arguments: tuple[object, ...],
) -> None:
    """The isolated process from its beginning to its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides, and kills
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    with log.open("ab") as output:
        for descriptor in (1, 2):
            os.dup2(output.fileno(), descriptor)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - for the process's whole life
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", force=True)
    began = time.monotonic()
    try:
        with progress.listen(lambda event: pipe.send(("progress", event))):
            result = function(*arguments)
        record_usage(multiprocessing.current_process().name, log.parent, began)
        pipe.send(("result", result))
    except PipelineError as error:
        logger.error("%s", error)
        pipe.send(("error", error))
    except OSError as error:
        logger.exception("the step failed")
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        pipe.send(("error", storage_error(error, log.parent) if full else f"{type(error).__name__}: {error}"))
    except BaseException as error:  # the parent must hear of every end
        logger.exception("the step failed")
        pipe.send(("error", f"{type(error).__name__}: {error}"))
    sys.stdout.flush()
    sys.stderr.flush()
    ctypes.CDLL(None).fflush(None)
    cpython.end_of_process()
    os._exit(0)  # Paddle's own teardown can crash after the result is safe
