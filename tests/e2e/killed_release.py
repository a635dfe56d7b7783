"""`python -m tests.e2e.killed_release CONFIG STEP REPORT`: a release that ends itself with `kill -9`.

It does so at the REPORT-th progress report of STEP (1 is the step's beginning), or at the end of STEP if
REPORT is "end". STEP may be a pattern, such as `validate *`.
"""

from __future__ import annotations

import os
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from paddle_int8.flows.cli import main as cli
from paddle_int8.tasks.process import progress


def main(config: str, step: str, report: str) -> None:
    reports = 0

    def kill(event: progress.Progress) -> None:
        nonlocal reports
        if fnmatchcase(event.step, step) and event.ended is (report == "end"):
            reports += 1
            if event.ended or reports == int(report):
                os.kill(os.getpid(), signal.SIGKILL)

    with progress.listen(kill):
        cli.release(Path(config))


if __name__ == "__main__":
    main(*sys.argv[1:])
