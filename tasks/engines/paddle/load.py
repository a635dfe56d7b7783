"""Turns the user's model files into the FP32 model from which every later step starts.

`prepare_model` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.artifacts import ModelArtifact, OperatorCensus, TensorSpec
from paddle_int8.tasks.contracts.operators import select
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.engines.paddle.census import census
from paddle_int8.tasks.engines.paddle.conversion.converted import CAST
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import ModelSource
from paddle_int8.tasks.engines.paddle.form_errors import require_float
from paddle_int8.tasks.engines.paddle.gpu_only import require_cpu
from paddle_int8.tasks.engines.paddle.original import ORIGINAL
from paddle_int8.tasks.engines.paddle.pir.source import readable
from paddle_int8.tasks.engines.paddle.rewrites.native_kernels import compute_natively
from paddle_int8.tasks.engines.paddle.rewrites.repairs import repair

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

RNN, LEGACY, NATIVE = "rnn", "rewrite_rnn_as_lstm", "compute_natively"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedModel:
    """What `prepare_model` wrote. `tasks.contracts.artifacts.ModelArtifact` describes the fields.

    written_by: the Paddle that wrote a program in the older form, when it is Paddle 3; else "".
    cast_from: the floating-point types other than FP32 that the user's model has.
    """

    digest: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    written_by: str
    cast_from: tuple[str, ...]
    census: OperatorCensus
    repairs: dict[str, int]
    size_bytes: int

    def artifact(self, source: ModelSource, given: Path, folder: Path) -> ModelArtifact:
        """The model in `folder`, as other steps take it. `given`: the path that the user gave."""
        return ModelArtifact(
            folder=StoredPath(folder),
            digest=self.digest,
            source=StoredPath(given).relative() or str(given),
            source_format=", ".join(filter(None, (source.format.value, self.written_by, *self.cast_from))),
            source_digest=source.source_digest,
            inputs=self.inputs,
            outputs=self.outputs,
            census=self.census,
            repairs=self.repairs,
            size_bytes=self.size_bytes,
        )


def prepare_model(
    source: ModelSource,
    folder: Path,
    *,
    legacy: bool = False,
    native_ops: Sequence[str] = (),
    keep_fp32: Sequence[str] = (),
) -> PreparedModel:
    """Loads `source`, casts it to FP32, repairs its graph and saves it into `folder` as `model.pdmodel` +
    `model.pdiparams`. A PIR program is translated first.

    legacy: rewrite operators `rnn` with `lstm`; the model with the `rnn` is then kept in `ORIGINAL` below
    `folder`.
    native_ops: operator types that Paddle's own kernels are to run.
    keep_fp32: patterns of operators (`tasks.contracts.operators.select`). They are checked here and change
    nothing: what they mean is kept in FP32 when a candidate is quantized.
    The census counts the operators of the repaired program.
    Raises: ConfigError when a pattern means no operator; ModelFormatError when the files cannot be used, hold
    a model that is quantized already, that FP32 cannot hold or that only a GPU runs, or an `rnn` that cannot
    be rewritten.
    """
    with readable(source) as files:
        return _prepare(files, folder, legacy=legacy, native_ops=native_ops, keep_fp32=keep_fp32)


def _prepare(
    source: ModelSource, folder: Path, *, legacy: bool, native_ops: Sequence[str], keep_fp32: Sequence[str]
) -> PreparedModel:
    from paddle_int8.tasks.engines.paddle.layer_names import named_operators
    from paddle_int8.tasks.engines.paddle.newer import written_by
    from paddle_int8.tasks.engines.paddle.program import (
        load_program,
        parse_program,
        save_program,
        tensor_specs,
    )
    from paddle_int8.tasks.engines.paddle.rewrites.float_types import cast_to_fp32, other_float_types

    require_float(source)
    loaded = load_program(source)
    require_cpu(loaded, source.program)
    cast_from = other_float_types(loaded)
    repairs = {CAST: cast_to_fp32(loaded)} | repair(loaded)
    if native_ops:
        repairs[NATIVE] = compute_natively(loaded, native_ops)
    if legacy and RNN in (op.type for op in loaded.program.global_block().ops):
        save_program(loaded, folder / ORIGINAL)
        repairs[LEGACY] = _rewrite(loaded)
    select(named_operators(loaded), keep_fp32)
    save_program(loaded, folder)
    counted = census(loaded.program)
    logger.info(
        "%d operators, INT8 can reach %d of %d compute operators; repairs: %s",
        sum(counted.counts.values()),
        counted.quantizable,
        counted.compute,
        repairs,
    )
    return PreparedModel(
        digest=program_digest(folder),
        inputs=tensor_specs(loaded.program, loaded.feeds),
        outputs=tensor_specs(loaded.program, loaded.fetches),
        written_by=written_by(parse_program(source.readable.read_bytes(), source.program)),
        cast_from=cast_from,
        census=counted,
        repairs=repairs,
        size_bytes=sum(path.stat().st_size for path in folder.iterdir() if path.is_file()),
    )


def _rewrite(loaded: LoadedProgram) -> int:
    import paddle

    from paddle_int8.tasks.engines.paddle.legacy_recurrence import legacy_recurrence

    with paddle.utils.unique_name.guard():  # the digest depends on the names
        return legacy_recurrence(loaded)
