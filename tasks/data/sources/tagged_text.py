"""Reads tagged text, lines of `word/tag word/tag`, as sequences of ids and labels.

Each step of a sequence is a character; with the dictionary `words` it is a word that the vocabulary has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from paddle_int8.tasks.config.data import Preprocessing, Source
from paddle_int8.tasks.contracts.errors import DataError
from paddle_int8.tasks.data import packages
from paddle_int8.tasks.data.sources.source import ONLY_INPUT, Samples, SourceKind, content_digest
from paddle_int8.tasks.data.text_units import cut, read_dictionary

Ids = npt.NDArray[np.int64]
PLACES = frozenset({"-B", "-I", "-E", "-S"})
OUTSIDE = "O"


class TaggedTextSource(Source):
    """Tagged text: each line `word/tag word/tag` becomes one sequence of character ids, with a label each.

    With `words`, the line is cut into the words of that dictionary instead, and each step is a word, if the
    vocabulary has it: this is what LAC's `lac_model` reads. A word has the label of its first character.

    If `tags` has `-B`, `-I`, `-E` and `-S`, a label says where the character stands in its word: at the
    beginning, inside, at the end, or alone. Otherwise it is the word's tag followed by `-B` (first character)
    or `-I` (any other), and `O` where `tags` does not have that.
    """

    model_config = ConfigDict(title="Tagged text")

    kind: Literal["tagged_text"] = Field(description="Text with a tag a word.")
    corpus: Path = Field(
        description="UTF-8 text of `word/tag` pairs separated by blanks; empty lines are skipped."
    )
    vocabulary: Path = Field(description="File of `id<TAB>character` lines: the ids that the model reads.")
    tags: Path = Field(description="File of `id<TAB>tag` lines: the labels that the model answers with.")
    replacements: Path | None = Field(
        default=None,
        description="File of `from<TAB>to` lines that replace single characters, for example full width "
        "by half width.",
    )
    words: Path | None = Field(
        default=None,
        description="Dictionary of `word count` lines that the text is cut by; without it, each step is "
        "one character.",
    )
    unknown: str = Field(
        default="OOV", description="Entry of the vocabulary that stands for every character it does not have."
    )
    first_line: int = Field(
        default=1, ge=1, description="First line of the corpus to read; lines are counted from 1."
    )
    last_line: int | None = Field(
        default=None,
        ge=1,
        description="Last line of the corpus to read; without it, the corpus is read to its end.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A line of the corpus, without its tags: the ids and the labels of its steps, both [length]."""

    line: int
    ids: Ids
    labels: Ids
    text: str


def read_tagged_text(source: TaggedTextSource) -> list[Sentence]:
    """The sentences in the chosen lines of the corpus.

    Raises: DataError when a file cannot be read, when a line does not have the format (with its number), or
    when the vocabulary lacks the entry for unknown characters.
    """
    vocabulary, tags = _ids_by_name(source.vocabulary), _ids_by_name(source.tags)
    replaced = dict(_pairs(source.replacements)) if source.replacements else {}
    if source.unknown not in vocabulary:
        raise DataError(
            found=f"no {source.unknown!r} in {source.vocabulary}",
            required="an entry of the vocabulary for characters that it does not have",
            remedy="name it with `unknown`, or add it as the model was trained with",
        )
    unknown = vocabulary[source.unknown]
    dictionary = read_dictionary(_lines(source.words), source.words) if source.words else None
    sentences = []
    for number, line in enumerate(_lines(source.corpus), start=1):
        if number < source.first_line or number > (source.last_line or number) or not line.strip():
            continue
        words = list(_words(line, number, source.corpus))
        text = "".join(word for word, _ in words)
        steps = _steps(cut(text, dictionary), vocabulary) if dictionary else list(text)
        ids = [vocabulary.get(replaced.get(step, step), unknown) for step in steps]
        labels = [label for word, tag in words for label in _labels(word, tag, tags, source.tags)]
        firsts = np.cumsum([0, *map(len, steps[:-1])])
        sentences.append(
            Sentence(line=number, ids=np.array(ids), labels=np.array(labels)[firsts], text=" ".join(steps))
        )
    return sentences


def _steps(units: list[str], vocabulary: Mapping[str, int]) -> list[str]:
    """The units that the vocabulary has; each other unit is replaced by its characters."""
    return [step for unit in units for step in ([unit] if unit in vocabulary else unit)]


def _words(line: str, number: int, corpus: Path) -> Iterator[tuple[str, str]]:
    for item in line.split():
        word, slash, tag = item.rpartition("/")
        if not (word and slash and tag):
            raise DataError(
                found=f"{item!r:.60} in line {number} of {corpus}",
                required="`word/tag`, separated by blanks",
                remedy="correct the line, or leave it out with `first_line` and `last_line`",
            )
        yield word, tag


def _labels(word: str, tag: str, tags: dict[str, int], path: Path) -> list[int]:
    """One label for each character: its position in the word, or the word's tag with `-B` or `-I`."""
    if tags.keys() >= PLACES:
        inside = [tags["-I"]] * (len(word) - 2)
        return [tags["-S"]] if len(word) == 1 else [tags["-B"], *inside, tags["-E"]]
    names = [f"{tag}-B", *[f"{tag}-I"] * (len(word) - 1)]
    if OUTSIDE not in tags and (missing := [name for name in names if name not in tags]):
        raise DataError(
            found=f"tag {missing[0]!r}, which {path} lacks",
            required=f"every tag of the corpus, or {OUTSIDE!r} for the others",
            remedy="give the list of tags that the model was trained with",
        )
    return [tags.get(name, tags.get(OUTSIDE, 0)) for name in names]


def _ids_by_name(path: Path) -> dict[str, int]:
    try:
        return {name: int(number) for number, name in _pairs(path)}
    except ValueError as error:
        raise DataError(
            found=f"{path}: {error}", required="`id<TAB>name` lines", remedy="correct the file"
        ) from error


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    """The fields of each line that has two. LAC's dictionaries have other lines too, which LAC skips."""
    for line in _lines(path):
        fields = line.split("\t")
        if len(fields) == 2:
            yield fields[0], fields[1]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            found=f"{path}: {error}",
            required="a readable UTF-8 text file",
            remedy=packages.command(path) or "correct the path",
        ) from error


def open_text(source: TaggedTextSource, preprocessing: Preprocessing) -> Samples:
    sentences = read_tagged_text(source)
    return Samples(
        count=len(sentences),
        labels=None,
        read=lambda index: {ONLY_INPUT: sentences[index].ids[:, None]},
        name=lambda index: f"line {sentences[index].line} of {source.corpus}",
        text=lambda index: sentences[index].text,
        sequence_labels=[sentence.labels for sentence in sentences],
    )


def describe(source: TaggedTextSource, written: Callable[[PurePath], str]) -> str:
    last = source.last_line or "the end"
    return f"{written(source.corpus)}, lines {source.first_line} to {last}"


def content(source: TaggedTextSource) -> Iterator[str]:
    files = (source.corpus, source.vocabulary, source.tags, source.replacements, source.words)
    yield f"{source.first_line} {source.last_line} {source.unknown}"
    yield from (content_digest(path) for path in files if path)


SOURCE = SourceKind(
    kind="tagged_text", section=TaggedTextSource, open=open_text, describe=describe, content=content
)
