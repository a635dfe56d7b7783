"""`python -m docs.generate.newcomer` records a newcomer's hour anew; then `make docs` puts it into the page.

Run it where nothing else runs: the release on the page measures time. It makes the model and the pictures of
the page in a temporary folder, and types the commands of the page one after another.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from docs.generate.hour import PROMPT, RECORDED, TYPED
from paddle_int8.tasks.hardware.cpuinfo import parse_cpuinfo
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.colours import draw, export

CLASSES = ("red", "green", "blue", "twilight", "night")
"""In the order of the training, which is not that of the folders."""
EACH = 60
SHOWN_AS = "/home/you"


def record(home: Path) -> str:
    """The machine, and each command with its output, as newcomers-hour.log holds them. home: empty."""
    folder = home / "sky-classifier"
    exporting = partial(export, classes=CLASSES, depth=5, width=96)
    run_isolated(exporting, folder / "export", step="export", log=home / "export.log", timeout_s=300)
    draw(folder / "images", EACH)
    (folder / "names.txt").write_text("\n".join(CLASSES) + "\n", encoding="utf-8")
    load = os.getloadavg()[0]
    shown = [f"{PROMPT}{line}\n{_output(line, folder)}" for line in TYPED.values()]
    cpu = parse_cpuinfo(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    machine = (
        f"an {cpu.model_name} with {cpu.processors} CPUs, at a load of {load:.1f} before the first command"
    )
    return f"{machine}\n{''.join(shown)}".replace(str(home), SHOWN_AS)


def _output(line: str, folder: Path) -> str:
    """What a shell in `folder` shows for the line, errors included."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT", "MLFLOW"))
    }
    ended = subprocess.run(
        line,
        shell=True,
        cwd=folder,
        env=inherited | {"PATH": path, "PADDLE_INT8_HOME": str(folder / "var"), "HOME": str(folder.parent)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return "".join(f"{each.rstrip()}\n" for each in ended.stdout.splitlines())


def main() -> None:
    with tempfile.TemporaryDirectory() as home:
        RECORDED.write_text(record(Path(home)), encoding="utf-8")
    sys.stdout.write(f"recorded in {RECORDED}; look at it, then run `make docs`\n")


if __name__ == "__main__":
    main()
