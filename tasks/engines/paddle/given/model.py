"""Takes a model that was quantized elsewhere as a candidate: what it is, whether it fits, what is wrong.

`take_given` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import json
import logging
import resource
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.contracts.artifacts import GivenModel, ModelArtifact, TensorSpec
from paddle_int8.tasks.contracts.errors import ModelFormatError, storage_error
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import ModelSource
from paddle_int8.tasks.engines.paddle.form import Form, Recognised, recognise
from paddle_int8.tasks.engines.paddle.gpu_only import require_cpu
from paddle_int8.tasks.engines.paddle.pir.source import readable

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.given.layers import QuantizedLayer
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

LAYOUTS = {
    Form.FAKE_QUANT: "offline",
    Form.OFFLINE: "offline",
    Form.QDQ: "qdq",
    Form.DEPLOYABLE_QDQ: "qdq",
    Form.RECURRENT: "recurrent",
}
"""The layout that a model of each form is converted to, or is in already."""
NAMED_AT_MOST = 8
BITS = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenModel:
    """What `take_given` wrote: the fields of a QuantizedArtifact, without its paths."""

    layout: str
    given: GivenModel
    digest: str
    quantized_ops: dict[str, int]
    operators: tuple[str, ...]
    tensors_calibrated: int
    seconds: float
    peak_memory_bytes: int


def take_given(source: ModelSource, given: str, model: ModelArtifact, folder: Path) -> TakenModel:
    """Writes `model.pdmodel`, `model.pdiparams` and `scales.json`, once the model is known to be a candidate.

    given: the path that the user gave. model: the FP32 model that the candidate will be compared with.
    Raises: ModelFormatError when the files cannot be used, hold a model that is not quantized or quantized in
    its weights alone, or have other inputs or outputs than `model`.
    """
    from paddle_int8.tasks.engines.paddle.conversion.integer_weights import integers_in_fp32
    from paddle_int8.tasks.engines.paddle.given.layers import quantized_layers, thresholds
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    started = time.monotonic()
    with readable(source) as files:
        found = recognise(files)
        _require_quantized(files, found)
        loaded = load_program(files, quantized=True)
        require_cpu(loaded, files.program)
    _require_same_ends(loaded, model, source)
    layers = quantized_layers(loaded, converted=found.form.converted)
    quantized = [layer for layer in layers if layer.quantized]
    misplaced = bool(integers_in_fp32(loaded)) if found.form is Form.QDQ else False
    findings = (*_of_form(found, misplaced=misplaced), *findings_of_layers(layers))
    scales = thresholds(loaded)
    save_program(loaded, folder)
    _write_scales(scales, folder)
    logger.info("%s is %s; %d of %d layers quantized", given, found, len(quantized), len(layers))
    return TakenModel(
        layout=LAYOUTS[found.form],
        given=GivenModel(
            source=given,
            form=str(found),
            layers=len(layers),
            quantized=len(quantized),
            converted=found.form.converted,
            findings=findings,
        ),
        digest=program_digest(folder),
        quantized_ops=dict(Counter(layer.type for layer in quantized)),
        operators=tuple(layer.output for layer in quantized),
        tensors_calibrated=len(scales),
        seconds=time.monotonic() - started,
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )


def _require_quantized(source: ModelSource, found: Recognised) -> None:
    if found.form is Form.FLOAT:
        raise ModelFormatError(
            found=f"{source.program} in `candidates` is not quantized: it holds no quantization operators",
            required="a quantized model of the FP32 model in `model`",
            remedy="take it out of `candidates`: the release itself quantizes the model in `model`",
        )
    if found.form is Form.WEIGHTS:
        raise ModelFormatError(
            found=f"{source.program} in `candidates` is {found}: on x86 every layer of it computes in FP32, "
            "since no kernel multiplies integer weights by FP32 activations; only its file is smaller",
            required="a model whose activations are quantized too",
            remedy="take it out of `candidates`: the release itself quantizes the model in `model`, "
            "activations too; or quantize it with PaddleSlim's `quant_post_static`",
        )


def _require_same_ends(loaded: LoadedProgram, model: ModelArtifact, source: ModelSource) -> None:
    """Inputs must agree by name. Outputs agree by their order, since quantizers rename them."""
    from paddle_int8.tasks.engines.paddle.program import tensor_specs

    pairs = (
        ("inputs", model.inputs, tensor_specs(loaded.program, loaded.feeds), True),
        ("outputs", model.outputs, tensor_specs(loaded.program, loaded.fetches), False),
    )
    for noun, wanted, found, named in pairs:
        if named:
            wanted, found = (tuple(sorted(each, key=lambda spec: spec.name)) for each in (wanted, found))
        same = len(wanted) == len(found) and all(
            _fits(old, new, named=named) for old, new in zip(wanted, found, strict=True)
        )
        if not same:
            raise ModelFormatError(
                found=f"{source.program} in `candidates` has the {noun} {_said(found)}",
                required=f"the {noun} of the FP32 model: {_said(wanted)}",
                remedy="name a model that was quantized from the one in `model` and exported with the same "
                "`input_spec`",
            )


def _fits(wanted: TensorSpec, found: TensorSpec, *, named: bool) -> bool:
    """Whether the tensors take the same values. An input must be as free as that of the FP32 model."""
    if (named and wanted.name != found.name) or len(wanted.shape) != len(found.shape):
        return False
    if (wanted.dtype, wanted.sequence) != (found.dtype, found.sequence):
        return False
    return all(
        new in (old, -1) or (not named and old == -1)
        for old, new in zip(wanted.shape, found.shape, strict=True)
    )


def _said(specs: Iterable[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in specs) or "none"


def _of_form(found: Recognised, *, misplaced: bool) -> list[str]:
    """What x86 makes of the model as it was given."""
    said = []
    if found.form is Form.FAKE_QUANT:
        said.append(
            "It is in the fake-quant format. Opened as it is, Paddle Inference runs all of it in FP32 on "
            "x86, and the rounding on top; the release converts it."
        )
    if found.form is Form.QDQ:
        said.append(
            "It is in the QDQ format (`onnx_format`). Opened as it is, Paddle Inference runs it in INT8 only "
            "where `enable_mkldnn_int8()` is called, else in FP32; the release converts it."
        )
    if misplaced:
        said.append(
            "Its weights are integers that are stored as FP32 numbers, as `paddle.quantization` exports "
            "them. Opened as it is, Paddle's predictor multiplies them without their scales in INT8, and "
            "the answers are wrong; the release stores them as INT8."
        )
    return said


def findings_of_layers(layers: tuple[QuantizedLayer, ...]) -> list[str]:
    """What is wrong with single layers, each kind of fault in a sentence."""
    said = []
    if not any(layer.quantized for layer in layers):
        said.append("None of its layers has scales for what it reads and for its weight.")
    elif unscaled := [layer.name for layer in layers if not layer.quantized]:
        said.append(
            f"{_share(unscaled, layers)} no scale of the weight or none of what is read: {_listed(unscaled)}."
        )
    if empty := [layer.name for layer in layers if not layer.is_calibrated]:
        said.append(
            f"{_share(empty, layers)} a scale of zero or one that is not a number, as nothing was "
            f"calibrated: {_listed(empty)}."
        )
    if coarse := [layer.name for layer in layers if layer.per_tensor]:
        said.append(
            f"{_share(coarse, layers)} one scale for the whole weight, where one for each channel would "
            f"round less: {_listed(coarse)}."
        )
    if other := [layer.name for layer in layers if layer.bits - {BITS}]:
        said.append(
            f"{_share(other, layers)} another number of bits than {BITS}, which is what x86 computes with: "
            f"{_listed(other)}."
        )
    return said


def _share(names: list[str], layers: tuple[QuantizedLayer, ...]) -> str:
    return f"{len(names)} of its {len(layers)} layers {'has' if len(names) == 1 else 'have'}"


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED_AT_MOST
    return ", ".join(names[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _write_scales(scales: dict[str, float], folder: Path) -> None:
    try:
        (folder / "scales.json").write_text(json.dumps(scales, indent=1), encoding="utf-8")
    except OSError as error:
        raise storage_error(error, folder) from error
