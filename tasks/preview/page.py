"""Writes the page of a check: one HTML file without script, network or font."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.contracts.errors import storage_error
from paddle_int8.tasks.preview.findings import Check, SampleAnswer
from paddle_int8.tasks.preview.sentences import data_sentence, forecast_sentence, margin_sentence
from paddle_int8.tasks.showing.pictures import picture

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 48
"""How many samples the page has at most; those on which FP32 is wrong come first, up to a half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A sample on the page."""

    sample: SampleAnswer
    picture: str | None


def write_page(found: Check, samples: Sequence[tuple[DatasetArtifact, int]], model: ModelArtifact) -> None:
    """Writes `found.page`. `samples`: where each of `found.samples` lies, as a data set and its row.

    Raises: StorageError when the file cannot be written.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    places = chosen(found.samples, SHOWN)
    cards = [
        Card(sample=found.samples[place], picture=picture(samples[place][0], model, samples[place][1]))
        for place in places
    ]
    page = environment.get_template("check.html.jinja").render(
        found=found,
        cards=cards,
        data=[
            ("Calibration", data_sentence(found.calibration)),
            ("Validation", data_sentence(found.validation)),
        ],
        margin=margin_sentence(found),
        forecast=forecast_sentence(found.forecast, len(found.candidates)),
    )
    try:
        found.page.parent.mkdir(parents=True, exist_ok=True)
        found.page.write_text(page, encoding="utf-8")
    except OSError as error:
        raise storage_error(error, found.page.parent) from error


def chosen(samples: Sequence[SampleAnswer], count: int) -> list[int]:
    """Evenly spread places of `count` samples; where FP32 is wrong on so many, half of them are such ones."""
    wrong = [place for place, each in enumerate(samples) if each.score is not None and each.score < 1]
    others = [place for place, each in enumerate(samples) if each.score is None or each.score == 1]
    first = _spread(wrong, max(count // 2, count - len(others)))
    return first + _spread(others, count - len(first))


def _spread(places: list[int], count: int) -> list[int]:
    if len(places) <= count:
        return places
    return [places[each * len(places) // count] for each in range(count)]
