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
    """The ImageNet on the worker's disk that the accuracy of the image rows is measured on."""

    root: Path = Field(
        description="Folder of ImageNet. It holds `train` and `val`, each with one folder per class, or "
        "`train_list.txt` and `val_list.txt`."
    )
    models: Path | None = Field(
        default=None,
        description="Folder of the weights, such as `resnet50.pdparams` or `resnet50/`. When it is left out, "
        "the folder `models` in `root`.",
    )
    samples: int | None = Field(
        default=None, ge=1, description="Number of validation pictures. When it is left out, all of them."
    )


class TableRequest(Section):
    """Which rows to measure. For the other rows, the table shows what an earlier run measured."""

    only: tuple[RowKey, ...] = Field(default=(), description="Rows to measure; empty means all.")
    column: Column | None = Field(
        default=None, description="Half of each row to measure. When it is left out, both halves."
    )
    quick: bool = Field(
        default=False, description="Whether to measure speeds only, with few repetitions and samples."
    )
    imagenet: ImageNet | None = Field(
        default=None,
        description="ImageNet to measure the accuracy of the image rows on. When it is left out, they are "
        "measured on Fashion-MNIST.",
    )
    configs: Path | None = Field(
        default=None,
        description="Folder of the releases' YAML files on the worker. When it is left out, the folder "
        "`published` in PADDLE_INT8_CONFIGS.",
    )
    task_runner: FanOut | None = Field(
        default=None,
        description="Where the rows' candidates are built: `threads` of this host, or the `dask` cluster of "
        "PADDLE_INT8_DASK_SCHEDULER. When it is left out, each release's configuration decides.",
    )

    @property
    def command(self) -> str:
        """The command line that asks for the same."""
        words = ["paddle-int8 published-table", *(f"--only {key}" for key in self.only)]
        words += [f"--column {self.column}"] if self.column else []
        if self.imagenet:  # by name: the paths are the worker's own
            words += ["--imagenet-root IMAGENET"]
        return " ".join([*words, *(["--quick"] if self.quick else [])])
