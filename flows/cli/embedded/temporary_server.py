"""Runs a temporary Prefect server in a process that ends with the program that started it.

Prefect itself starts the same application when no server is set. But then the program imports the whole
application, and when the program is killed, the server lives on.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.errors import IsolatedProcessError
from paddle_int8.tasks.process import garbage
from paddle_int8.tasks.process.isolated import last_lines
from paddle_int8.tasks.process.pace import Patience
from paddle_int8.tasks.steps.prefect_private import EPHEMERAL, server_app

STARTUP_TIMEOUT_S = 180
"""Time limit on the reference host of `tasks/process/pace.py`; slower hosts get more."""
STOP_TIMEOUT_S = 5
POLL_S = 0.05
PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends when the parent ends, however it ends."""
STARTUP_FAILURE = 3
"""uvicorn's own exit status for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemporaryServer:
    """A server that is starting or running on loopback; `log` receives its output."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path
    patience: Patience

    def wait_until_ready(self) -> None:
        """Waits until the server answers.

        Raises: IsolatedProcessError when it ends, or does not answer in time.
        """
        while not self._answers():
            if self.process.poll() is not None:
                raise self._did_not_start("it ended")
            if self.patience.is_over():
                raise self._did_not_start(f"no answer within {self.patience.limit_s:.0f} s")
            time.sleep(POLL_S)

    def _did_not_start(self, how: str) -> IsolatedProcessError:
        return IsolatedProcessError(
            found=f"Prefect's temporary server did not start: {how}; last lines of {self.log}:\n"
            f"{last_lines(self.log)}",
            required="a server that answers",
            remedy="set PREFECT_API_URL to one that runs; `prefect server start` shows why",
        )

    def stop(self) -> None:
        """Ends the server. It first gets `STOP_TIMEOUT_S` to write down what it was told."""
        self.process.terminate()
        try:
            self.process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/api/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def start(log: Path) -> TemporaryServer:
    """Starts the server and returns at once. Call it in the main thread: the server ends with its thread."""
    port = _free_port()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(port), str(os.getpid())],
            stdout=output,
            stderr=output,
            env={**os.environ, **EPHEMERAL},
            start_new_session=True,  # Ctrl-C is not for the server, which has yet to record the cancellation
        )
    return TemporaryServer(
        process=process,
        address=f"http://127.0.0.1:{port}",
        log=log,
        patience=Patience(STARTUP_TIMEOUT_S),
    )


def _free_port() -> int:
    with closing(socket.socket()) as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
        return port


def _serve(port: int, parent: int) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # the parent ended before the kernel was asked to watch it
        return
    with garbage.left_alone():
        import uvicorn
        from prefect.settings import get_current_settings

        create = server_app()

    class AloneAtFirst(uvicorn.Server):
        """Holds a lock while it starts. Two servers that create a new database at once would break it."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with (get_current_settings().home / "starting.lock").open("a") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                await super().startup(sockets)

    app = uvicorn.Config(create, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")
    server = AloneAtFirst(app)
    server.run()
    if not server.started:
        sys.exit(STARTUP_FAILURE)


if __name__ == "__main__":
    _serve(*map(int, sys.argv[1:]))
