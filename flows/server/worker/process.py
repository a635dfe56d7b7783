"""`prefect` as a worker that stays for weeks: `python -m` this module, then `worker start ...`.

Each flow run leaves a megabyte of the heap in reference cycles. Python's collector counts objects, not
bytes, and looks through old ones only once there are a quarter more of them, which took some hundred runs
and as many megabytes; so it is told to look every minute.
"""

from __future__ import annotations

import gc
import threading

from prefect.cli import app

EVERY_S = 60.0


def collect_regularly(every_s: float = EVERY_S) -> threading.Event:
    """Collects garbage from now on, until the result is set."""
    enough = threading.Event()

    def collect() -> None:
        while not enough.wait(every_s):
            gc.collect()

    threading.Thread(target=collect, name="collect garbage", daemon=True).start()
    return enough


if __name__ == "__main__":
    collect_regularly()
    app()
