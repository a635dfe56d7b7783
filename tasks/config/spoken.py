"""Types of text that must have a certain form, such as a name: the form as a pattern, and in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from paddle_int8.tasks.config.choice import looked_up

LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a field requires, in words.

    words: the words, or a function that finds them.
    mend: turns a wrong text into one that would do.
    """

    words: str | Callable[[], str]
    mend: Callable[[str], str] | None = None

    def said(self) -> str:
        return self.words if isinstance(self.words, str) else self.words()


class MismatchError(ValueError):
    """Two values that are valid alone but not together. `required` says what would go together."""

    def __init__(self, found: str, required: str) -> None:
        self.required = required
        super().__init__(found)


def _metrics_said() -> str:
    names = ", ".join(f"`{name}`" for name in looked_up("paddle_int8.tasks.data.metrics:METRICS").names())
    return f"a list of {names} or `package.module:function`"


def as_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-._")[:LONGEST_NAME]


CALLABLE = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""Pattern of `package.module:function`."""

CallableName = Annotated[str, Field(pattern=CALLABLE), Spoken("`package.module:function`")]
RegisteredUri = Annotated[
    str,
    Field(pattern=r"^models:/[A-Za-z0-9_][\w. -]*(@[\w-]+|/[1-9]\d*)$"),
    Spoken("`models:/name@alias` or `models:/name/version`"),
]
"""An alias or a version of a model in MLflow's registry."""
FolderName = Annotated[
    str,
    Field(pattern=r"^([\w-][\w.-]*(/[\w-][\w.-]*)*)?$"),
    Spoken("folders of letters, digits, `_`, `-` and `.`, with `/` between them and without `.` in front"),
]
"""A relative path of a folder. The pattern has no room for `..`, so it cannot lead outside."""
Objective = Annotated[
    str,
    Field(pattern=rf"^cross_entropy$|{CALLABLE}"),
    Spoken("`cross_entropy`, or `package.module:function`"),
]
ReleaseName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][\w.-]*$", max_length=LONGEST_NAME),
    Spoken("letters, digits, `_`, `.` and `-`, the first of them a letter or a digit", as_name),
]
MetricNames = Annotated[tuple[str, ...], Spoken(_metrics_said)]
PaddleVersion = Annotated[
    str, Field(pattern=r"^\d+\.\d+\.\d+$"), Spoken("a version of three numbers in quotes, such as `'3.3.1'`")
]
ModelName = Annotated[
    str,
    Field(pattern=r"^[\w][\w. -]*$", max_length=200),
    Spoken("letters, digits, `_`, `.`, `-` and blanks, the first of them a letter or a digit", as_name),
]
"""Name of a registered model. MLflow forbids `/` and `:`; a quote would end the name in its searches."""
