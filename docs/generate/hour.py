"""Parts of newcomers-hour.log, which `python -m docs.generate.newcomer` records."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "tutorial" / "newcomers-hour.log"
WAITING = re.compile(r"  .*: \d+ s so far(, .*)?")
"""A line about a wait, which is left out: a terminal shows a bar in its place."""
PROMPT = "$ "
TYPED = {
    "swapped": "paddle-int8 init images export",
    "init": "paddle-int8 init export images --yes",
    "check": "paddle-int8 check sky-classifier.yaml",
    "names": "cat names.txt",
    "again": "paddle-int8 init export images --yes --classes names.txt",
    "forced": "paddle-int8 init export images --yes --classes names.txt --force",
    "ready": "paddle-int8 check sky-classifier.yaml",
    "written": "cat sky-classifier.yaml",
    "release": "paddle-int8 release sky-classifier.yaml",
}
"""What a newcomer types, by the name that the page has for it."""
ENDINGS = {
    "APPROVED": """
The candidate that ◀ marks is approved, registered and packed, and the exit status is 0. Serve it by the
name that the last lines print ([serving](../how-to/serving.md)).
""",
    "INCONCLUSIVE": """
No candidate is approved, and the exit status is 4. The line that begins with `?` says what was not
proven, and the line under it what to do. Others took the machine for most of the time, so the speed-up
that was found may as well be too low. Nothing has to be made again for that: the release is started once
more when the machine is free, and takes the finished steps from the store.
""",
    "REJECTED": """
No candidate is approved, and the exit status is 3. The lines that begin with `✗` say why, and the line
under each says what to do.
""",
}
"""What the page says below the release, by its outcome."""


def hour(name: str) -> str:
    """name: one of those in `TYPED`, `machine`, or `ending`."""
    machine, *lines = [
        line for line in RECORDED.read_text(encoding="utf-8").splitlines() if not WAITING.fullmatch(line)
    ]
    if name == "machine":
        return f"The machine was {machine}."
    starts = [place for place, line in enumerate(lines) if line.startswith(PROMPT)]
    parts = [lines[start:end] for start, end in pairwise([*starts, len(lines)])]
    recorded = dict(zip(TYPED, parts, strict=True))
    if name == "ending":
        return next(said for word, said in ENDINGS.items() if recorded["release"][-1].startswith(word))
    return "\n".join(("```text", *"\n".join(recorded[name]).strip("\n").splitlines(), "```"))
