"""Processes that the kernel kills when the one that started them is gone, whatever they are doing.

A process that hangs in native code runs no handler, no thread of Python and no loop that would see the end of
a pipe. Therefore the kernel is asked to send SIGKILL when the last other end of a pipe closes. (Its
PR_SET_PDEATHSIG would follow the thread that started the process, not that thread's process.)
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
from multiprocessing.connection import Connection

from paddle_int8.tasks.process.cpython import fork_server_pipe

F_SETSIG = 10  # fcntl(2); the fcntl module lacks it


class Lifeline:
    """A pipe's end for an isolated process: unpickled there, it puts the process in a session of its own that
    ends when the pipe's other end is closed.

    First among the process's arguments, it holds before the modules of the others are imported.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def __reduce__(self) -> tuple[object, ...]:
        return _tied, (self.connection,)


def _tied(connection: Connection) -> Lifeline:
    os.setsid()
    kill_when_closed(connection.fileno(), -os.getpgrp())
    return Lifeline(connection)


def kill_when_closed(descriptor: int, owner: int) -> None:
    """Has the kernel kill process `owner`, or process group `-owner`, when nothing can write any more to the
    pipe that `descriptor` reads; nothing may ever be written to it."""
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, owner)
    fcntl.fcntl(descriptor, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:  # it was closed before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def end_server_with_its_clients() -> None:
    """In multiprocessing's fork server: ends it when its last client is gone, without waiting for its loop,
    which begins after the preload and would never come to that when the preload hangs.

    Elsewhere it does nothing.
    Raises: RuntimeError in a fork server of another Python, see `cpython.fork_server_pipe`.
    """
    if (pipe := fork_server_pipe()) is not None:
        kill_when_closed(pipe, os.getpid())
