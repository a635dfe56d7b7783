"""Plans the releases of the table, and adapts them to the host and to `--quick`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.validation import Reference
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.published.figures import EXTRAS, IMAGES, PUBLISHED, ExtraRow, PublishedRow, RowKey
from paddle_int8.tasks.published.imagenet import on_imagenet
from paddle_int8.tasks.published.measured import Unmeasured
from paddle_int8.tasks.published.request import Column, TableRequest

QUICK_REPEATS, QUICK_PROCESSES, QUICK_SAMPLES = 20, 3, 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One half of a row, and the release that measures it.

    `config` is the reason when there is no such release. `skipped` is the reason why it does not run this
    time, "" if it does; the result of an earlier run is shown all the same.
    """

    row: PublishedRow | ExtraRow
    column: Column
    config: ReleaseConfig | Unmeasured
    skipped: str = ""


def planned(folder: Path, request: TableRequest) -> tuple[Item, ...]:
    """Every half of every row, all speeds first, with the releases in `folder`."""
    halves: list[tuple[PublishedRow | ExtraRow, Column]] = [
        (row, half) for half in Column for row in PUBLISHED
    ]
    halves += [(extra, Column.ACCURACY) for extra in EXTRAS]
    return tuple(
        Item(
            row=row,
            column=half,
            config=_config(folder, row, half, request),
            skipped=_skipped(row.key, half, request),
        )
        for row, half in halves
    )


def fitted(config: ReleaseConfig, host: HostProfile) -> ReleaseConfig:
    """`config`, limited to the instruction sets that this host can emulate and to its number of cores.

    Of the references only native FP32 is timed, since the table shows no other: a recurrent layer in BF16
    would take minutes. A row shows what its grid found, so that no search goes on from it.
    """
    asked = config.validation
    possible = tuple(isa for isa in asked.deploy_isas if isa in host.emulates)
    threads = min(asked.threads, max(1, int(host.usable_cores)))
    validation = asked.model_copy(
        update={"deploy_isas": possible, "threads": threads, "references": (Reference.NATIVE_FP32,)}
    )
    quantization = config.quantization.model_copy(update={"strategy": "grid"})
    return config.model_copy(update={"validation": validation, "quantization": quantization})


def _skipped(key: RowKey, half: Column, request: TableRequest) -> str:
    if (request.only and key not in request.only) or request.column not in (None, half):
        return "not asked for in this run"
    return "not run with --quick" if request.quick and half is Column.ACCURACY else ""


def _config(
    folder: Path, row: PublishedRow | ExtraRow, column: Column, request: TableRequest
) -> ReleaseConfig | Unmeasured:
    path = folder / f"{row.key}_{column}.yaml"
    if not path.is_file():
        return Unmeasured(reason=f"no release for it: {path.name} is not there")
    try:
        config = load_config(path)
        if request.imagenet and row in IMAGES and column is Column.ACCURACY:
            return on_imagenet(config, row.key, request.imagenet)
    except PipelineError as error:
        return Unmeasured(reason=str(error))
    return _quickened(config) if request.quick and column is Column.SPEED else config


def _quickened(config: ReleaseConfig) -> ReleaseConfig:
    """`config` with one candidate and few repetitions and samples: the same kernels, but wider intervals.

    A batch still has only different samples, because four sentences over and over are faster than fifty.
    """
    asked = config.quantization
    quantization = asked.model_copy(update={"algorithms": asked.algorithms[:1], "layouts": asked.layouts[:1]})
    samples = max(QUICK_SAMPLES, config.validation.batch_size)
    data = config.data.model_copy(
        update={"calibration_samples": QUICK_SAMPLES, "validation_samples": samples}
    )
    validation = config.validation.model_copy(update={"repeats": QUICK_REPEATS, "processes": QUICK_PROCESSES})
    return config.model_copy(update={"quantization": quantization, "data": data, "validation": validation})
