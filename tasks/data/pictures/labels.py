"""Tells whether the label in a list is a class number, and if not, what it probably is."""

from __future__ import annotations

import re
from dataclasses import dataclass

CLASS_NUMBER = re.compile(r"0|[1-9][0-9]{0,6}")
"""Class numbers have at most 7 digits: the largest data sets of faces have a few million classes, and
20231105 is a date."""
AGREEMENT = "leave the labels out and measure `validation.metrics: [agreement]`"


@dataclass(frozen=True, slots=True)
class WrongLabel:
    what: str
    remedy: str


SORTS = (
    (
        re.compile(r"(?:.*\S)?\.[A-Za-z]\w{1,4}[\"']?"),
        WrongLabel(
            "a second file",
            f"lists of pairs, such as of pictures and masks, cannot be used: list the pictures alone, which "
            f"is to {AGREEMENT}",
        ),
    ),
    (re.compile(r"-[0-9]+"), WrongLabel("below 0", "number the classes from 0")),
    (
        re.compile(r"[\[(]?-?[0-9]+(?:[\s,;|]+-?[0-9]+)+[\])]?"),
        WrongLabel(
            "several labels, or a label with something beside it",
            f"give one class number a picture; for a model that answers with several, {AGREEMENT}",
        ),
    ),
    (
        re.compile(r"[0-9]+[.,][0-9]*|[0-9.]+[eE][+-]?[0-9]+"),
        WrongLabel("no whole number", "write class numbers without a point: 3, not 3.0"),
    ),
    (
        re.compile(r"[0-9]+"),
        WrongLabel(
            "a text of digits: class numbers have no leading zero and are below 10,000,000",
            f"number the classes from 0 in the order of the model's outputs; for texts, {AGREEMENT}",
        ),
    ),
)
"""What a wrong label is, by the first pattern that matches all of it."""
TEXT = WrongLabel(
    "a text", f"number the classes from 0 in the order of the model's outputs; for texts, {AGREEMENT}"
)


def wrong_label(label: str) -> WrongLabel | None:
    """None when the label is a class number; otherwise what the text is, and what to do."""
    if CLASS_NUMBER.fullmatch(label):
        return None
    return next((wrong for pattern, wrong in SORTS if pattern.fullmatch(label)), TEXT)
