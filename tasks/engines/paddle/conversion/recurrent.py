"""Makes a recurrent model INT8: fuses its operators, and writes the calibrated scales into them.

`convert_recurrent` runs in the isolated process; importing this module does not load Paddle.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.blocks import overwrite, value
from paddle_int8.tasks.engines.paddle.digest import program_digest
from paddle_int8.tasks.engines.paddle.files import ModelSource
from paddle_int8.tasks.engines.paddle.form import FUSED_RECURRENT as FUSED
from paddle_int8.tasks.engines.paddle.private.graphs import apply_pass, graph_of
from paddle_int8.tasks.engines.paddle.private.operators import set_attribute
from paddle_int8.tasks.engines.paddle.private.tensors import new_tensor

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import GraphOperator, Operator, Tensor

INT8_GREATEST = 127.0
HIDDEN_BOUND = 1.0
"""No hidden state of a GRU or LSTM is larger."""
SCALES = "scales.json"
UNFUSED = frozenset({"gru", "lstm"})
FUSIONS = ("fc_gru_fuse_pass", "mul_gru_fuse_pass", "fc_lstm_fuse_pass", "mul_lstm_fuse_pass")
BIDIRECTIONAL_FUSIONS = ("multi_gru_fuse_pass", "multi_gru_seq_fuse_pass")
EXPECTED_ATTRIBUTES: dict[str, bool | str | float | list[float]] = {
    "use_mkldnn": True,
    "mkldnn_data_type": "float32",
    "force_fp32_output": False,
    "Scale_data": 1.0,
    "Shift_data": 0.0,
    "Scale_weights": [1.0],
}
"""Attributes that `fusion_gru` and `fusion_lstm` need. The first fusion leaves them out.

Without them `multi_gru_fuse_pass` silently leaves the operator alone (in Paddle's own predictor it never
fuses anything), and so does the quantization.
"""

logger = logging.getLogger(__name__)


def convert_recurrent(source: ModelSource, folder: Path, *, layout: str, bits: int) -> ConvertedModel:
    """Writes `source` into `folder`, with its recurrent operators fused and in INT8.

    The thresholds are in `scales.json`, beside the files of `source`.
    layout: the name that the converted model bears.
    bits: how many each weight has, 2 to 8. With 7, sums of two products fit into 16 bits.

    Raises: ModelFormatError for files that cannot be used, ConversionError when an operator did not fuse.
    """
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program

    thresholds = json.loads(source.program.with_name(SCALES).read_text(encoding="utf-8"))
    loaded = fuse_recurrent(load_program(source))
    counts = Counter(op.type for op in loaded.program.global_block().ops)
    if left := UNFUSED & counts.keys():
        raise ConversionError(
            found=f"{', '.join(f'{counts[name]} {name}' for name in sorted(left))} that did not fuse",
            required="every recurrent operator behind a fully connected layer of its own, without an initial "
            "state, and with all its outputs in the program",
            remedy="save the model with `clip_extra=False`; export it without an initial state",
        )
    converted = quantize_fused(loaded, thresholds, bits)
    save_program(converted, folder)
    int8_ops = _int8_operators(converted.program.global_block().ops)
    logger.info("INT8 recurrent operators: %s", int8_ops)
    return ConvertedModel(
        folder=folder,
        layout=layout,
        digest=program_digest(folder),
        int8_ops=int8_ops,
        repairs={},
        size_bytes=sum(path.stat().st_size for path in folder.iterdir()),
    )


def _int8_operators(operators: Sequence[Operator]) -> dict[str, int]:
    """Fused operators that read what a `quantize` operator wrote."""
    quantized = {name for op in operators if op.type == "quantize" for name in op.output_arg_names}
    counts = Counter(op.type for op in operators if op.type in FUSED and op.input("X")[0] in quantized)
    return dict(sorted(counts.items()))


def quantize_fused(loaded: LoadedProgram, thresholds: Mapping[str, float], bits: int) -> LoadedProgram:
    """The fused program with INT8 recurrent operators, from the thresholds of their inputs and hidden states.

    bits: how many each weight has.

    A layer's input and hidden state share a scale, and so do all layers of one `multi_gru`. Embeddings are
    several times as large as any hidden state, which would then have a few levels of the 255. So the input
    is quantized by its own threshold, the operator gets the scale of the hidden states, and its weights make
    up for the difference, which changes nothing in exact arithmetic.

    Example: inputs reach 4, hidden states 1. Inputs are quantized in steps of 4 / 127, and the operator takes
    a step for 1 / 127. The weights that multiply the input are therefore multiplied by 4.

    Source: after Nagel et al. 2019, data-free quantization, arXiv:1906.04721, section 4.1.
    """
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

    graph = graph_of(loaded.program, loaded.scope)
    fused = [node.op() for node in graph.all_op_nodes() if node.op().type() in FUSED]
    inputs = {op.input("X")[0] for op in fused}
    states = [threshold for name, threshold in thresholds.items() if name not in inputs]
    hidden = max(states, default=HIDDEN_BOUND)
    ranges = {name: thresholds[name] / hidden for name in inputs}
    _scale_input_weights(
        loaded, input_factors(((op.input("X")[0], _input_weights(op)) for op in fused), ranges)
    )
    scales: dict[str, tuple[bool, Tensor]] = {}
    for op in fused:
        scales[op.input("X")[0]] = _scale([thresholds[op.input("X")[0]]])
        per_channel = lstm_weight_scale if op.type() == "fusion_lstm" else gru_weight_scale
        for by_input, by_hidden in zip(op.input("WeightX"), op.input("WeightH"), strict=True):
            weights = (value(loaded, by_input), value(loaded, by_hidden))
            scales[by_input] = _scale(per_channel(*weights) * 2.0 ** (8 - bits))
    apply_pass(graph, "cpu_quantize_placement_pass", quantize_enabled_op_types=set(FUSED))
    apply_pass(graph, "cpu_quantize_pass", quant_var_scales=scales, data_layout="NCHW")
    apply_pass(graph, "cpu_quantize_squash_pass")
    for op in [node.op() for node in graph.all_op_nodes() if node.op().type() in FUSED]:
        set_attribute(op, "Scale_data", INT8_GREATEST / hidden)
    program = graph.to_program()
    return LoadedProgram(program=program, scope=loaded.scope, feeds=loaded.feeds, fetches=loaded.fetches)


def _input_weights(op: GraphOperator) -> list[str]:
    """Names of the weights that multiply the input itself; deeper layers read hidden states."""
    directions = 2 if op.type() == "multi_gru" else 1
    names: list[str] = op.input("WeightX")[:directions]
    return names


def input_factors(
    reads: Iterable[tuple[str, Sequence[str]]], ranges: Mapping[str, float]
) -> dict[str, float]:
    """The factor by which each weight is multiplied, by weight.

    reads: for every operator, its input and the names of the weights that multiply it.
    ranges: for each input, its range divided by that of the hidden states.
    Raises: ConversionError when one weight multiplies inputs of different ranges.
    """
    factors: dict[str, float] = {}
    for name, weights in reads:
        for weight in weights:
            if factors.setdefault(weight, ranges[name]) != ranges[name]:
                raise ConversionError(
                    found=f"the weight {weight} in two recurrent layers, whose inputs have different ranges",
                    required="weights of its own for each layer that reads another tensor",
                    remedy="export the layers with copies of the weight",
                )
    return factors


def _scale_input_weights(loaded: LoadedProgram, factors: Mapping[str, float]) -> None:
    for name, factor in factors.items():
        overwrite(loaded, name, (value(loaded, name) * factor).astype(np.float32))


def gru_weight_scale(by_input: Array, by_hidden: Array) -> Array:
    """Greatest magnitude of each gate channel: [3 * hidden].

    by_input: [in, 3 * hidden]. by_hidden: [hidden, 3 * hidden]; its memory holds a matrix for the update and
    the reset gate, [hidden, 2 * hidden], and then one for the candidate state, [hidden, hidden].
    Source: the kernel of `fusion_gru` in paddle/phi/kernels/fusion/onednn.
    """
    width = len(by_hidden)
    memory, gates = by_hidden.reshape(-1), 2 * width
    update_reset = memory[: width * gates].reshape(width, gates)
    candidate = memory[width * gates :].reshape(width, width)
    both = np.concatenate([by_input, np.concatenate([update_reset, candidate], axis=1)])
    greatest: Array = np.abs(both).max(axis=0)
    return greatest


def lstm_weight_scale(by_input: Array, by_hidden: Array) -> Array:
    """Greatest magnitude of each gate channel: [4 * hidden]. by_input: [in, 4 * hidden]."""
    greatest: Array = np.abs(np.concatenate([by_input, by_hidden])).max(axis=0)
    return greatest


def _scale(greatest: Array | list[float]) -> tuple[bool, Tensor]:
    """A scale for Paddle's pass: whether it is unsigned, and 1 / greatest; 0 for a channel of zeros."""
    values = np.asarray(greatest, np.float64)
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
    return False, new_tensor(inverse)


def fuse_recurrent(loaded: LoadedProgram) -> LoadedProgram:
    """Fuses each `gru` and `lstm` with the layer in front of it, then both directions and all layers."""
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram

    graph = graph_of(loaded.program, loaded.scope)
    for name in FUSIONS:
        apply_pass(graph, name)
    for node in graph.all_op_nodes():
        if node.op().type() in FUSED:
            for attribute, expected in EXPECTED_ATTRIBUTES.items():
                set_attribute(node.op(), attribute, expected)
    for name in BIDIRECTIONAL_FUSIONS:
        apply_pass(graph, name)
    program = graph.to_program()
    return LoadedProgram(program=program, scope=loaded.scope, feeds=loaded.feeds, fetches=loaded.fetches)
