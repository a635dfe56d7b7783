"""Runs the program `prefect` as a worker that stays up for weeks: `python -m <this module> worker start ...`.

Each flow run leaves a megabyte in reference cycles. Python's garbage collector counts objects, not bytes, and
looks through old objects only when their number has grown by a quarter. That took some hundred flow runs, and
as many megabytes. So this module collects garbage every minute.
"""

from __future__ import annotations

import gc
import threading

from prefect.cli import app

EVERY_S = 60.0


def collect_regularly(every_s: float = EVERY_S) -> threading.Event:
    """Starts a thread that collects garbage every `every_s` seconds, until the returned event is set."""
    enough = threading.Event()

    def collect() -> None:
        while not enough.wait(every_s):
            gc.collect()

    threading.Thread(target=collect, name="collect garbage", daemon=True).start()
    return enough


if __name__ == "__main__":
    collect_regularly()
    app()
