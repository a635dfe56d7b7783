"""The parameter of the published table's flow."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from pydantic import Field

from paddle_int8.tasks.config.release import FanOut
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.published.figures import RowKey


class Column(StrEnum):
    """The two halves of a row, each from a release of its own."""

    SPEED = "speed"
    ACCURACY = "accuracy"


class ImageNet(Section):
    """ImageNet on the worker's disk: what the accuracy of the image rows is measured on instead."""

    root: Path = Field(description="Folder with `train` and `val`, class folders or `val_list.txt`.")
    models: Path | None = Field(
        default=None,
        description="Folder of the rows' weights, `resnet50.pdparams` or `resnet50/`; None is `root/models`.",
    )
    samples: int | None = Field(default=None, ge=1, description="Validation pictures; None takes all.")


class TableRequest(Section):
    """Which rows to measure. Of what is not asked for, the table shows what an earlier run measured."""

    only: tuple[RowKey, ...] = Field(default=(), description="The rows; empty means all.")
    column: Column | None = Field(default=None, description="One half of each row; without it, both.")
    quick: bool = Field(default=False, description="Speeds only, few repetitions and samples.")
    imagenet: ImageNet | None = Field(
        default=None, description="Measure the image rows' accuracy on ImageNet, not on Fashion-MNIST."
    )
    configs: Path | None = Field(
        default=None,
        description="Folder of the releases, on the worker; without it `published` in PADDLE_INT8_CONFIGS.",
    )
    task_runner: FanOut | None = Field(
        default=None,
        description="Where the rows' candidates are built: `threads` of this host, or the `dask` cluster of "
        "PADDLE_INT8_DASK_SCHEDULER; None leaves it to each release's configuration.",
    )

    @property
    def command(self) -> str:
        """The command line that asks for the same."""
        words = ["paddle-int8 published-table", *(f"--only {key}" for key in self.only)]
        words += [f"--column {self.column}"] if self.column else []
        if self.imagenet:  # by name: the paths are the worker's own
            words += ["--imagenet-root IMAGENET"]
        return " ".join([*words, *(["--quick"] if self.quick else [])])
