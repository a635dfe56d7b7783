"""The parameter of the published table's flow."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from tasks.config import Section
from tasks.published.figures import RowKey


class Column(StrEnum):
    """The two halves of a row, each from a release of its own."""

    SPEED = "speed"
    ACCURACY = "accuracy"


class TableRequest(Section):
    """Which rows to measure. Of what is not asked for, the table shows what an earlier run measured."""

    only: tuple[RowKey, ...] = Field(default=(), description="The rows; empty means all.")
    column: Column | None = Field(default=None, description="One half of each row; without it, both.")
    quick: bool = Field(default=False, description="Speeds only, few repetitions and samples.")
    configs: Path | None = Field(
        default=None,
        description="Folder of the releases, on the worker; without it `published` in PADDLE_INT8_CONFIGS.",
    )
