"""Measures how long oneDNN computes each operator of a model, in FP32 and in INT8. Isolated process only.

oneDNN's log names neither operators nor tensors. A primitive is told to be an operator by what it computes:
the channels and the kernel of a convolution, the matrix of a product. Operators that compute alike are taken
in the order of the program. Where there are more or fewer primitives of a kind than operators, none is told.
"""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.arrays import Feed
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, ModelArtifact
from paddle_int8.tasks.engines.paddle.audit.kernels import CHANNELS, GROUPS, Primitive, parse_verbose
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.switches import QUANTIZED, Switches

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, Operator

STEP = "time operators"
INFERENCES = 20
"""How many inferences are logged; the median of a primitive's times counts."""
KERNEL = re.compile(r"kh(\d+).*kw(\d+)")
INNER = re.compile(r"ic(\d+)(?:ih(\d+))?(?:iw(\d+))?")
PRODUCTS = frozenset({"mul", "matmul", "matmul_v2"})
CONVOLUTIONS = frozenset({"conv2d", "depthwise_conv2d"})
Kind = tuple[int, ...]
"""What an operator computes: (groups, channels in, channels out, height, width) or (inner size, columns)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimingRequest:
    """An FP32 model, the INT8 model in the folder `candidate`, and how both are run.

    switches: how the INT8 model is opened.
    """

    model: ModelArtifact
    candidate: Path
    switches: Switches
    calibration: DatasetArtifact
    batch_size: int
    threads: int


def measure_times(request: TimingRequest) -> dict[str, tuple[float, float]]:
    """Milliseconds of one batch in FP32 and in INT8, by the operator's output tensor.

    Operators are missing that oneDNN does not compute in both, or not one by one.
    """
    from paddle_int8.tasks.data.reader import BatchReader
    from paddle_int8.tasks.engines.paddle.program import load_program

    reader = BatchReader(request.calibration, request.model.inputs)
    feed = next(iter(reader.batches(request.batch_size, limit=request.batch_size)))
    block = load_program(find_model(ModelFiles(path=request.model.folder))).program.global_block()
    operators = [(op.output_arg_names[0], kind) for op in block.ops if (kind := _operator_kind(block, op))]
    # with the fusions of INT8: the others join operators, of which each is asked for here
    fp32 = _told(operators, _times(request.model.folder, QUANTIZED, request.threads, feed))
    int8 = _told(operators, _times(request.candidate, request.switches, request.threads, feed))
    return {name: (fp32[name], int8[name]) for name in fp32 if name in int8}


def _times(folder: Path, switches: Switches, threads: int, feed: Feed) -> dict[Kind, list[float]]:
    from paddle_int8.tasks.engines.paddle.audit.verbose import recorded
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    predictor = open_predictor(spec_of(folder, switches, threads))
    predictor.run(feed)
    _, executed = parse_verbose(recorded(lambda: predictor.run(feed), inferences=INFERENCES))
    return by_kind(executed, INFERENCES)


def by_kind(executed: Iterable[Primitive], inferences: int) -> dict[Kind, list[float]]:
    """The median milliseconds of each primitive of one inference, in order, by what it computes."""
    found: dict[Kind, list[float]] = defaultdict(list)
    for primitive in executed:
        if (kind := primitive_kind(primitive)) is not None:
            found[kind].append(primitive.time_ms)
    return {
        kind: [statistics.median(times[place :: len(times) // inferences]) for place in range(each)]
        for kind, times in found.items()
        if (each := len(times) // inferences) and len(times) == each * inferences
    }


def _told(operators: Sequence[tuple[str, Kind]], times: Mapping[Kind, list[float]]) -> dict[str, float]:
    """The milliseconds of each operator whose kind has as many primitives as operators."""
    names: dict[Kind, list[str]] = defaultdict(list)
    for name, kind in operators:
        names[kind].append(name)
    return {
        name: time_ms
        for kind, alike in names.items()
        if len(times.get(kind, ())) == len(alike)
        for name, time_ms in zip(alike, times[kind], strict=True)
    }


def primitive_kind(primitive: Primitive) -> Kind | None:
    """What a primitive computes; None for one that is neither a convolution nor a product."""
    shape = primitive.shape
    if primitive.kind == "convolution":
        channels, kernel, groups = CHANNELS.search(shape), KERNEL.search(shape), GROUPS.search(shape)
        if channels is None or kernel is None:
            return None
        return int(groups[1]) if groups else 1, *map(int, channels.groups()), *map(int, kernel.groups())
    if primitive.kind == "inner_product":
        inner, columns = INNER.search(shape), re.search(r"oc(\d+)", shape)
        if inner is None or columns is None:
            return None
        size = 1
        for side in inner.groups():
            size *= int(side or 1)
        return size, int(columns[1])
    if primitive.kind == "matmul":
        second = shape.split(":")[1:2]
        sides = second[0].split("x")[-2:] if second else []
        return (int(sides[0]), int(sides[1])) if len(sides) == 2 and "".join(sides).isdigit() else None
    return None


def _operator_kind(block: Block, op: Operator) -> Kind | None:
    from paddle_int8.tasks.engines.paddle.private.variables import variable_of

    if op.type in CONVOLUTIONS:
        outputs, inputs, height, width = variable_of(block, op.input("Filter")[0]).shape
        groups = int(op.attr("groups"))
        return groups, inputs * groups, outputs, height, width
    if op.type not in PRODUCTS:
        return None
    shape = list(variable_of(block, op.input("Y")[0]).shape)
    if len(shape) < 2:
        return None
    inner, columns = shape[-2:]
    transposed = next((op.attr(name) for name in ("trans_y", "transpose_Y") if op.has_attr(name)), False)
    kind = (columns, inner) if transposed else (inner, columns)
    return kind if min(kind) > 0 else None
