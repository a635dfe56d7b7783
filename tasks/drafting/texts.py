"""Recognises tagged text, with the vocabulary and the tags that lie beside it."""

from __future__ import annotations

import re
from pathlib import Path

from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.drafting.sources import Found

TAGGED = re.compile(r"\s*(\S+/[A-Za-z-]{1,8}(\s+|$))+")
ENTRY = re.compile(r"\d+\t\S+")
LOOKED_AT = 1 << 14
"""How many bytes of a file are looked at."""
VOCABULARIES, TAGS = ("vocab", "word", "char"), ("tag", "label")
DICTIONARY = (".dic", ".txt", ".tsv", ".vocab")


def is_tagged(path: Path) -> bool:
    """Whether each of the first lines is `word/tag word/tag`."""
    lines = [line for line in _beginning(path) if line.strip()]
    return bool(lines) and all(TAGGED.fullmatch(line) for line in lines)


def tagged_text(path: Path) -> Found:
    """The samples in a tagged text, with the files beside it.

    Raises: DataError when no vocabulary or no list of tags lies beside the text.
    """
    with path.open(encoding="utf-8") as stream:
        lines = sum(1 for line in stream if line.strip())
    vocabulary, tags = _beside(path, VOCABULARIES, "vocabulary"), _beside(path, TAGS, "tags")
    return Found(
        source={
            "kind": "tagged_text",
            "corpus": path.resolve(),
            "vocabulary": vocabulary.resolve(),
            "tags": tags.resolve(),
        },
        words=f"tagged text, {lines:,} lines in {path}, with {vocabulary.name} and {tags.name}",
        samples=lines,
        labelled=True,
    )


def _beside(corpus: Path, names: tuple[str, ...], what: str) -> Path:
    candidates = [
        each
        for each in sorted(corpus.parent.iterdir())
        if each != corpus
        and each.suffix in DICTIONARY
        and each.name.lower().startswith(names)
        and any(ENTRY.fullmatch(line) for line in _beginning(each))
    ]
    if len(candidates) != 1:
        raise DataError(
            found=f"{len(candidates)} files with the {what} beside {corpus}",
            required=f"one file of `id<TAB>name` lines whose name begins with {' or '.join(names)}",
            remedy="put the dictionaries of the training beside the text, or write the section "
            "`kind: tagged_text` by hand (docs/reference/configuration.md)",
        )
    return candidates[0]


def _beginning(path: Path) -> list[str]:
    """The first whole lines; none of a file that is no UTF-8 text."""
    with path.open("rb") as stream:
        read = stream.read(LOOKED_AT)
    try:
        text = read.decode("utf-8") if len(read) < LOOKED_AT else read[: read.rfind(b"\n")].decode("utf-8")
    except UnicodeDecodeError:
        return []
    return [] if "\0" in text else text.splitlines()
