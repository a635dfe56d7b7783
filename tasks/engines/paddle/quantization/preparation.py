"""Prepares an FP32 model before one candidate is made from it. Isolated process only.

The candidate's algorithm may change the model, and the candidate's overrides mark operators that stay FP32.
The FP32 model that the candidate is compared with stays as the user gave it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import BF16, FP32, DatasetArtifact, Override, TensorSpec
from paddle_int8.tasks.contracts.errors import PipelineError, QuantizationError
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.engines.paddle.files import FILES, find_model

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqRequest


logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareRequest:
    """An FP32 model that an algorithm changes, and where the changed one goes.

    model: the folder of `model.pdmodel` and `model.pdiparams`, whose files stay as they are.
    inputs: the model's inputs. calibration: the samples that the candidate is calibrated with.
    batch_size: the number of samples in a batch.
    config: the section `quantization`, in which fields that the algorithm does not read have their defaults.
    folder: an empty folder, into which the same two files are written.
    """

    model: Path
    inputs: tuple[TensorSpec, ...]
    calibration: DatasetArtifact
    batch_size: int
    config: QuantizationConfig
    folder: Path


Prepare = Callable[[PrepareRequest], None]
"""Changes an FP32 model. The changed one has the inputs and outputs of the given one, by the same names."""
Magnitudes = Callable[[Sequence[Array], QuantizationConfig], float]
"""(magnitudes of a tensor in each batch, each [values]; the section `quantization`) -> threshold above 0"""
Histogram = Callable[[Array, Array, QuantizationConfig], float]
"""(counts [bins] of a tensor's magnitudes on all samples, edges [bins + 1] of the equal bins, the section
`quantization`) -> threshold above 0"""


@contextmanager
def prepared(request: PtqRequest) -> Iterator[PtqRequest]:
    """`request`, but for the model as the algorithm and the overrides change it. It is gone afterwards.

    Raises: QuantizationError when the algorithm's preparation fails, or an override cannot be honoured.
    """
    overrides, keep = _kept(request.candidate.overrides), request.config.keep_fp32
    if request.prepare is None and not (overrides or keep):
        yield request
        return
    # in the isolated process's own folder, which is gone when the process is killed
    with TemporaryDirectory(dir=Path.cwd()) as name:
        if keep:  # names of the user's network, so before the algorithm changes it
            request = _of_model(request, _marked(request, (), keep, Path(name, "kept")))
        if request.prepare is not None:
            request = _of_model(request, _changed(request, request.prepare, Path(name, "changed")))
        if overrides:
            request = _of_model(request, _marked(request, overrides, (), Path(name, "marked")))
        yield request


def _of_model(request: PtqRequest, folder: Path) -> PtqRequest:
    return replace(request, model=replace(request.model, folder=StoredPath(folder)))


def _changed(request: PtqRequest, prepare: Prepare, folder: Path) -> Path:
    folder.mkdir()
    preparation = PrepareRequest(
        model=request.model.folder,
        inputs=request.model.inputs,
        calibration=request.calibration,
        batch_size=request.batch_size,
        config=request.config,
        folder=folder,
    )
    name = request.candidate.algorithm
    try:
        prepare(preparation)
    except PipelineError:
        raise
    except Exception as error:  # the code of another package may raise anything
        raise QuantizationError(
            found=f"algorithm {name} could not prepare the model: {type(error).__name__}: {error}",
            required="a model that the algorithm can change",
            remedy=f"see the log, or take {name} out of `quantization.algorithms`",
        ) from error
    if missing := [file for file in FILES if not (folder / file).is_file()]:
        raise QuantizationError(
            found=f"algorithm {name} wrote no {' and no '.join(missing)}",
            required=f"{' and '.join(FILES)} in the folder of its request",
            remedy=f"correct the package that brings {name}",
        )
    logger.info("%s changed the FP32 model", name)
    return folder


def _marked(request: PtqRequest, outputs: Sequence[str], patterns: Sequence[str], folder: Path) -> Path:
    from paddle_int8.tasks.engines.paddle.layer_names import keep_layers_fp32
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.kept_fp32 import keep_named_fp32

    loaded = load_program(find_model(ModelFiles(path=request.model.folder)))
    keep_named_fp32(loaded, outputs)
    keep_layers_fp32(loaded, patterns)
    save_program(loaded, folder)
    return folder


def _kept(overrides: Sequence[Override]) -> tuple[str, ...]:
    if other := sorted({precision for _, precision in overrides} - {FP32, BF16}):
        raise QuantizationError(
            found=f"overrides of precision {', '.join(other)}",
            required=f"the precision {FP32} or {BF16}, in which an operator can be kept",
            remedy="correct the strategy that asked for the candidate",
        )
    return tuple(name for name, _ in overrides)
