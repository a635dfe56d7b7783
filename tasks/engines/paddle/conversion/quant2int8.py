"""Paddle's `Quant2Int8MkldnnPass`, repaired where Paddle 2.6.2 is silently wrong.

Imports Paddle, so only functions of the isolated process import this module.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy  # libpaddle exports zlib: imported before numpy it crashes the interpreter
import paddle
from paddle.static.quantization import Quant2Int8MkldnnPass

from paddle_int8.tasks.contracts.errors import ConversionError
from paddle_int8.tasks.engines.paddle.census import CONVOLUTIONS
from paddle_int8.tasks.engines.paddle.conversion.common_scales import common_scales, scales_before_factors
from paddle_int8.tasks.engines.paddle.conversion.data_movement import DATA_MOVEMENT, keep_data_movement_fp32
from paddle_int8.tasks.engines.paddle.conversion.kept_products import (
    KEPT_PRODUCTS,
    keep_fused_products_fp32,
    kept_factors,
)
from paddle_int8.tasks.engines.paddle.conversion.mixed_signs import keep_mixed_signs_fp32
from paddle_int8.tasks.engines.paddle.conversion.parted import (
    PARTED_SATURATED,
    SEPARATED_SUMS,
    STRAIGHTENED,
    part_saturated,
    separate_uncalibrated_sums,
    straighten_convolved,
)
from paddle_int8.tasks.engines.paddle.form import is_int8
from paddle_int8.tasks.engines.paddle.private.graphs import apply_pass, graph_of, libpaddle
from paddle_int8.tasks.engines.paddle.program import LoadedProgram
from paddle_int8.tasks.engines.paddle.rewrites.repairs import repair

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Graph, GraphNode, Program

NO_ID = -1
"""No operator's id. It keeps a set of ids from being empty: an empty one reaches C++ as a set of strings."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOptions:
    """What the pass quantizes, skips and draws.

    ops_to_quantize: names of operators after fusion; empty for all.
    op_ids_to_skip: ids of operators as the drawings show them.
    repairs: filled by the pass: how often each repair matched, by name.
    """

    ops_to_quantize: frozenset[str]
    op_ids_to_skip: frozenset[int]
    skipped_passes: frozenset[str]
    fused_conv: bool
    drawings: Path | None
    repairs: dict[str, int] = field(default_factory=dict)


class RepairedQuant2Int8(Quant2Int8MkldnnPass):  # type: ignore[misc] # Paddle is not typed
    """The shipped pass, which here honours `options` and takes a `fused_conv2d` for a convolution."""

    def __init__(self, loaded: LoadedProgram, options: PassOptions) -> None:
        place = paddle.CPUPlace()
        super().__init__(set(options.ops_to_quantize), {NO_ID}, loaded.scope, place, libpaddle())
        self._loaded = loaded
        self._options = options
        self._scale_axes: dict[str, int] = {}
        if options.fused_conv:
            self._conv_ops = [*sorted(CONVOLUTIONS), "fused_conv2d"]

    def _is_any_of_op_types_in_graph(self, op_types: list[str], graph: Graph) -> bool:
        """Compares types, where the shipped code compares names: a node keeps its name from before fusion."""
        return any(node.op().type() in op_types for node in graph.all_op_nodes())

    def _gather_weight_thresholds_from_fake(self, graph: Graph) -> Graph:
        """Gathers as shipped, and remembers along which axis of the weight each row of scales lies."""
        for node in graph.all_op_nodes():
            if node.name() in self._fake_dequantize_types and node.op().has_attr("quant_axis"):
                self._scale_axes[node.input("X")[0]] = node.op().attr("quant_axis")
        gathered: Graph = super()._gather_weight_thresholds_from_fake(graph)
        return gathered

    def _dequantize_op_weights(
        self, graph: Graph, op_node: GraphNode, weight_name: str, output_name: str
    ) -> None:
        """Dequantizes as shipped, but along the axis that was quantized.

        The shipped code guesses the axis from the number of scales, and guesses wrong for every square
        weight of a fully connected layer (4096 x 4096 in VGG16, 768 x 768 in ERNIE).
        """
        output, weight_var = op_node.output(output_name)[0], op_node.input(weight_name)[0]
        weight = self._load_param(self._scope, weight_var)
        scales = self._weight_thresholds[output]
        axis = self._scale_axes.get(output)
        if scales.size == 1 or axis is None or scales.size != weight.shape[axis]:
            super()._dequantize_op_weights(graph, op_node, weight_name, output_name)
            return
        along = [1] * weight.ndim
        along[axis] = scales.size
        self._restore_var(weight_var, (weight / self._s8_max * scales.reshape(along)).astype(numpy.float32))

    def _optimize_fp32_graph(self, graph: Graph) -> Graph:
        """Repairs the graph, which has lost its fake operators just now, then fuses it as shipped."""
        loaded = replace(self._loaded, program=graph.to_program())
        self._options.repairs.update(repair(loaded))
        scales = self._single_scales()
        self._options.repairs[SEPARATED_SUMS] = separate_uncalibrated_sums(loaded.program, scales)
        kept = kept_factors(loaded.program)
        graph = super()._optimize_fp32_graph(graph_of(loaded.program))
        program = graph.to_program()  # residual sums are part of their convolutions by now
        self._options.repairs[KEPT_PRODUCTS] = keep_fused_products_fp32(program, kept)
        self._options.repairs[DATA_MOVEMENT] = keep_data_movement_fp32(program, scales)
        self._options.repairs.update(keep_mixed_signs_fp32(program))
        copies = part_saturated(program, scales)
        self._set_scales(copies)
        self._options.repairs[PARTED_SATURATED] = len(copies)
        return graph_of(program)

    def _compute_weight_scales(self, graph: Graph) -> Graph:
        """Computes scales as shipped, and gives channels of zeros the scale 1.

        The shipped code gives them 0, or infinity in recurrent layers: kernels without VNNI then compute NaN.
        """
        graph = super()._compute_weight_scales(graph)
        for name, (_, tensor) in tuple(self._var_quant_scales.items()):
            scales = numpy.array(tensor)
            dead = ~numpy.isfinite(scales) | (scales == 0)
            if scales.size > 1 and dead.any():
                alive = self._convert_scale2tensor(numpy.where(dead, 1.0, scales))
                self._var_quant_scales[name] = (False, alive)
        return graph

    def _gather_output_scales_from_attr(self, graph: Graph) -> Graph:
        graph = super()._gather_output_scales_from_attr(graph)
        program = graph.to_program()
        self._set_scales(scales_of_parts(program))
        self._set_scales(scales_before_factors(self._single_scales(), program))
        return graph

    def _propagate_scales(self, graph: Graph) -> Graph:
        """Gives one common scale to all tensors between which operators hand a scale on."""
        self._set_scales(common_scales(self._single_scales(), graph.to_program(), fp32_too=False))
        return graph

    def _single_scales(self) -> dict[str, float]:
        """The scales of activations. A weight is not among them, since it has one for each channel."""
        tensors = {name: numpy.array(tensor) for name, (_, tensor) in self._var_quant_scales.items()}
        return {name: values.item() for name, values in tensors.items() if values.size == 1}

    def _set_scales(self, scales: Mapping[str, float]) -> None:
        for name, scale in scales.items():
            self._var_quant_scales[name] = (False, self._convert_scale2tensor(numpy.array(scale)))

    def _apply_pass(
        self,
        graph: Graph,
        pass_name: str,
        attrs: list[str] | None = None,
        attr_values: list[object] | None = None,
    ) -> Graph:
        if pass_name in self._options.skipped_passes:
            return graph
        if pass_name == "cpu_quantize_placement_pass":
            # the shipped pass takes ids to skip and never hands them on
            attrs = [*(attrs or []), "quantize_excluded_op_ids"]
            attr_values = [*(attr_values or []), self._checked_ids(graph)]
        graph = super()._apply_pass(graph, pass_name, attrs, attr_values)
        if self._options.drawings:
            draw(graph, self._options.drawings, f"{self._pass_group}_{self._pass_idx - 1:02d}_{pass_name}")
        return graph

    def _checked_ids(self, graph: Graph) -> set[int]:
        nodes = {node.id(): node.op().type() for node in graph.all_op_nodes()}
        logger.info("operator ids: %s", ", ".join(f"{key} {name}" for key, name in sorted(nodes.items())))
        if unknown := sorted(self._options.op_ids_to_skip - nodes.keys() - {NO_ID}):
            raise ConversionError(
                found=f"op_ids_to_skip names {unknown}, which no operator has after fusion",
                required=f"ids among {', '.join(f'{key} ({name})' for key, name in sorted(nodes.items()))}",
                remedy="take the ids from this list",
            )
        return {NO_ID, *self._options.op_ids_to_skip}


def quantize_graph(loaded: LoadedProgram, options: PassOptions) -> LoadedProgram:
    """The INT8 program of a fake-quantized one, with the same inputs, outputs and scope."""
    graph = graph_of(loaded.program)
    if options.drawings:
        draw(graph, options.drawings, "quant_orig")
    program = RepairedQuant2Int8(loaded, options).apply(graph).to_program()
    options.repairs[STRAIGHTENED] = straighten_convolved(program)
    return LoadedProgram(program=program, scope=loaded.scope, feeds=loaded.feeds, fetches=loaded.fetches)


def scales_of_parts(program: Program) -> dict[str, float]:
    """The scales of tensors that one operator writes together, such as the parts of a split.

    PaddleSlim stores the threshold of each output under the output's slot and number. The shipped code gives
    all of them the one that was stored last.
    """
    found: dict[str, float] = {}
    for op in program.global_block().ops:
        names = {
            f"{slot}{place}": name for slot in op.output_names for place, name in enumerate(op.output(slot))
        }
        stored = {place: f"{place}_threshold" for place in names if op.has_attr(f"{place}_threshold")}
        if len(stored) > 1:
            thresholds = {names[place]: op.attr(attribute) for place, attribute in stored.items()}
            found |= {name: 1 / threshold for name, threshold in thresholds.items() if threshold}
    return found


def draw(graph: Graph, folder: Path, name: str) -> None:
    """Writes `graph` as `folder/name.dot`. `IrGraph.draw` is not used: it requires graphviz."""
    folder.mkdir(parents=True, exist_ok=True)
    apply_pass(graph, "graph_viz_pass", graph_viz_path=str(folder / f"{name}.dot"))


def int8_operators(program: Program) -> Mapping[str, int]:
    """Operators of `program` that the passes marked INT8, counted by type."""
    return Counter(op.type for op in program.global_block().ops if is_int8(op))
