"""Excerpts of demo.log, the output of `make demo` that the pages quote.

To record it anew: `COLUMNS=110 make demo > docs/tutorial/demo.log 2>&1` in an empty home, then `make docs`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "tutorial" / "demo.log"
PROGRESS = re.compile(r"  .*: \d+ s so far(, .*)?")
"""A line about a step at work, which is left out: a terminal shows a bar in its place."""
HOME = re.compile(r"/[^/\s]\S*?/var(?=/)")
QUOTED_CRITERIA = ("accuracy", "speed-up", "INT8 share")
QUOTED_PLACES = ("report ", "model ", "APPROVED", "REJECTED", "INCONCLUSIVE")
VERDICT = "identity:"
"""The first criterion, with which the lines of the verdict begin."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where an excerpt begins: at the first or last line that begins with `prefix`, or `after` it."""

    prefix: str
    last: bool = False
    after: bool = False

    def of(self, lines: list[str]) -> int:
        found = [place for place, line in enumerate(lines) if line.startswith(self.prefix)]
        return found[-1 if self.last else 0] + self.after


CUTS = {
    "start": Cut("release "),
    "opened": Cut("✓ open MLflow run"),
    "trained": Cut("✓ train"),
    "loaded": Cut("✓ load model"),
    "baseline": Cut("✓ validation data", after=True),
    "built": Cut("✓ quantize"),
    "judged": Cut("✓ convert", last=True, after=True),
    "packed": Cut("✓ pack bundle"),
    "result": Cut("✓ report", after=True),
}
"""Each excerpt ends where the next one begins."""


def log(name: str) -> str:
    """name: one of `CUTS`, or `short` for the result as the README has it."""
    excerpt = _short(excerpts()["result"]) if name == "short" else excerpts()[name]
    return "\n".join(("```text", *excerpt, "```"))


@cache
def excerpts() -> dict[str, list[str]]:
    recorded = RECORDED.read_text(encoding="utf-8")
    told = [line for line in map(str.rstrip, recorded.splitlines()) if not PROGRESS.fullmatch(line)]
    lines = [HOME.sub("/home/you/paddle-int8/var", line) for line in told]
    ends = [*(cut.of(lines) for cut in CUTS.values()), len(lines)]
    return {name: _trimmed(lines[start:end]) for name, (start, end) in zip(CUTS, pairwise(ends), strict=True)}


def _trimmed(lines: list[str]) -> list[str]:
    """The lines, but for empty ones at both ends."""
    return "\n".join(lines).strip("\n").splitlines()


def _short(result: list[str]) -> list[str]:
    first = next(place for place, line in enumerate(result) if VERDICT in line)
    quoted = [line for line in result[first:] if any(f" {name}" in line for name in QUOTED_CRITERIA)]
    return [*result[:first], *quoted, "  …", *(line for line in result if line.startswith(QUOTED_PLACES))]
