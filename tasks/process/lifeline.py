"""Makes the kernel kill a process as soon as the process that started it is gone, whatever it is doing.

A process that hangs in native code runs no signal handler and no Python thread that could notice the end of
its parent. So the kernel is asked to send SIGKILL when the last writing end of a pipe closes, which the
parent holds. (PR_SET_PDEATHSIG would not do: it follows the thread that started the process, not the whole
parent.)
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
    """The reading end of a pipe, sent to an isolated process as its first argument.

    When it is unpickled there, it puts the process into a session of its own, which is killed once the pipe's
    other end is closed. Being the first argument, it takes effect before the modules that the other arguments
    need are imported.
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
    """Makes the kernel kill a process when the pipe that `descriptor` reads has no writing end any more.

    owner: the number of the process, or minus the number of a process group.
    Nothing may ever be written to the pipe, since that would kill as well.
    """
    fcntl.fcntl(descriptor, fcntl.F_SETOWN, owner)
    fcntl.fcntl(descriptor, F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([descriptor], [], [], 0)[0]:  # it was closed before the kernel was asked
        os.kill(os.getpid(), signal.SIGKILL)


def end_server_with_its_clients() -> None:
    """Makes the kernel kill multiprocessing's fork server when its last client is gone.

    The server itself notices that only in its main loop, which it never reaches when its preload hangs.
    In any other process this function does nothing.
    Raises: RuntimeError when this Python's fork server is different, see `cpython.fork_server_pipe`.
    """
    if (pipe := fork_server_pipe()) is not None:
        kill_when_closed(pipe, os.getpid())
