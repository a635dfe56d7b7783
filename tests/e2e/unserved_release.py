"""`python -m tests.e2e.unserved_release CONFIG PID_FILE`: a release that kills its own Prefect server.

It sends `kill -9` at the beginning and at the end of every step, once a server answers; PID_FILE holds the
server's process id.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import typer

from paddle_int8.flows.cli import main as cli
from paddle_int8.tasks.process import progress
from tests.e2e.crashes import STEPS
from tests.e2e.servers import answers, wait_until

RESTART_S = 120


def main(config: str, pid_file: str) -> None:
    killed: set[int] = set()
    struck: set[tuple[str, bool]] = set()
    health = f"{os.environ['PREFECT_API_URL']}/health"

    def server() -> int:
        number = int(Path(pid_file).read_text(encoding="ascii") or 0)  # empty while it is written
        return number if number not in killed and answers(health) else 0

    def kill(event: progress.Progress) -> None:
        point = event.step, event.ended
        if event.step in STEPS and point not in struck:
            struck.add(point)
            found = wait_until(server, bool, seconds=RESTART_S, what="a server that answers")
            killed.add(found)
            os.kill(found, signal.SIGKILL)

    with progress.listen(kill):
        try:
            cli.release(Path(config), json_output=True)
        except typer.Exit as ended:
            sys.exit(ended.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
