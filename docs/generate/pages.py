"""Which parts of a page are generated, and what belongs into them.

A part stands between two comments, of which the first names it:

    <!-- keys GateConfig: written by `make docs` -->
    ...
    <!-- end -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from docs.generate.commands import commands
from docs.generate.defects import defects
from docs.generate.documents import documents
from docs.generate.environment import environment
from docs.generate.hour import hour
from docs.generate.keys import keys
from docs.generate.log import log
from docs.generate.operators import operators
from docs.generate.records import records
from docs.generate.rooms import rooms
from docs.generate.samples import samples

DOCS = Path(__file__).parents[1]
PART = re.compile(
    r"(<!-- (?P<kind>\w+)(?: (?P<name>\w+))?: written by `make docs` -->\n)(.*?)(<!-- end -->)", re.S
)
KINDS: dict[str, Callable[[str], str]] = {
    "commands": commands,
    "defects": defects,
    "documents": documents,
    "environment": environment,
    "hour": hour,
    "keys": keys,
    "log": log,
    "operators": operators,
    "records": records,
    "rooms": rooms,
    "samples": samples,
}
"""What makes a part of each kind, given its name; the name is empty where there is one part of the kind."""


def pages() -> Iterator[Path]:
    """Every page of the site, and the README."""
    yield from sorted(DOCS.rglob("*.md"))
    yield DOCS.parent / "README.md"


def filled(text: str) -> str:
    """The text of a page with all of its generated parts as the code has them now."""
    return PART.sub(_filled_part, text)


def named_parts(text: str) -> list[tuple[str, str]]:
    """Kind and name of every generated part."""
    return [(part["kind"], part["name"] or "") for part in PART.finditer(text)]


def write() -> list[Path]:
    """Fills every page; returns those that changed."""
    changed = [page for page in pages() if filled(page.read_text("utf-8")) != page.read_text("utf-8")]
    for page in changed:
        page.write_text(filled(page.read_text("utf-8")), encoding="utf-8")
    return changed


def _filled_part(part: re.Match[str]) -> str:
    made = KINDS[part["kind"]](part["name"] or "")
    return f"{part[1]}\n{made.strip()}\n\n{part[5]}"
