"""Proves that INT8 ran, by reading what oneDNN says it executed from its verbose lines.

The `prim_template` header names the fields of a line. The data types stand in the memory descriptors:
`src_u8:a:blocked:acdb::f0` is an input of unsigned 8-bit integers. Counting the operators of the converted
program would be no proof, because a `quantize` operator around one layer looks converted too.

Paddle's own kernels print no line. The number of operators that ran in them is that of the compute operators
in the model's census, less those that oneDNN printed.

Source: oneDNN 3.2 developer guide, "Verbose Mode"; the lines of oneDNN 3.6, which Paddle 3.3 contains.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from paddle_int8.tasks.contracts.artifacts import OperatorCensus
from paddle_int8.tasks.contracts.evidence import Fp32Layer, KernelAudit, PrimitiveShare

COMPUTE_KINDS = frozenset({"convolution", "deconvolution", "inner_product", "matmul", "rnn"})
INT8_TYPES = frozenset({"s8", "u8"})
MARK = "onednn_verbose,"
TEMPLATE = (
    "operation,engine,primitive,implementation,prop_kind,memory_descriptors,attributes,auxiliary,"
    "problem_desc,exec_time"
)
"""The fields of oneDNN 3.2, used when the output has no header."""
DESCRIPTOR = re.compile(r"(?:^|\s)([a-z]+(?:_[a-z]+)*)[_:]([a-z]+\d+|undef):")
"""`src_u8:` in oneDNN 3.2, and `src:u8:` in 3.6."""
GROUPS = re.compile(r"^g(\d+)mb")
CHANNELS = re.compile(r"(?<![a-z])ic(\d+)oc(\d+)")
DEPTH = re.compile(r"_id\d+od\d+")
FIRST_LAYER_CHANNELS = 4
TRANSPOSED, THREE_D, IN_LOOP = "transposed convolution", "3-D convolution", "looped operator"
"""Kinds of operators that never run in INT8. `tasks.engines.paddle.census.NEVER` names them before anything
is quantized."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """One executed primitive. `dtypes` maps a tensor's role ("src", "wei", "dst") to its data type."""

    kind: str
    implementation: str
    dtypes: dict[str, str]
    shape: str
    time_ms: float

    @property
    def dtype(self) -> str:
        """The type that the multiplications ran in: "int8" when input and weights are both 8-bit integers,
        "bf16" when both are BF16, else "fp32"."""
        source, weights = self._dtype_of("src"), self._dtype_of("wei")
        if source in INT8_TYPES and weights in INT8_TYPES:
            return "int8"
        return "bf16" if source == weights == "bf16" else "fp32"

    def _dtype_of(self, role: str) -> str:
        """The data type of a role. A recurrent primitive has several tensors per role: its layer's counts."""
        return self.dtypes.get(role) or self.dtypes.get(f"{role}_layer") or "undef"


def parse_verbose(lines: Iterable[str]) -> tuple[str, list[Primitive]]:
    """The instruction set in oneDNN's words ("" without a header), and the executed primitives in order.

    Lines that are not oneDNN's, are truncated or are mixed with others are skipped.
    """
    isa, template, primitives = "", TEMPLATE.split(","), []
    for record in _records(lines):
        fields = record.split(",")
        if "info" in fields[:3]:
            isa = record.partition("cpu,isa:")[2] or isa
            named = record.partition("template:")[2].split(",")
            template = named if "primitive" in named else template
        elif (primitive := _primitive(fields, template)) is not None:
            primitives.append(primitive)
    return isa, primitives


def audit(
    lines: Iterable[str], *, inferences: int, expect_int8: bool, census: OperatorCensus | None = None
) -> KernelAudit:
    """Counts and times of one inference: the mean over the verbose lines of `inferences` inferences.

    expect_int8: False for an FP32 model, whose layers are not listed as having stayed FP32.
    census: the model's operators, for a layout in which one primitive is one operator. Those that oneDNN did
        not execute count as not INT8.
    """
    isa, executed = parse_verbose(lines)
    compute = [primitive for primitive in executed if primitive.kind in COMPUTE_KINDS]
    int8 = [primitive for primitive in compute if primitive.dtype == "int8"]
    reorders = [primitive for primitive in executed if primitive.kind == "reorder"]
    outside = _outside(compute, inferences, census) if expect_int8 and census else 0
    operators = len(compute) + outside * inferences
    return KernelAudit(
        isa=isa,
        inferences=inferences,
        compute_primitives=round(len(compute) / inferences),
        int8_primitives=round(len(int8) / inferences),
        int8_share_by_count=len(int8) / operators if operators else 0.0,
        int8_share_by_time=_ratio(_time(int8), _time(compute)),
        reorders=round(len(reorders) / inferences),
        reorder_time_ms=_time(reorders) / inferences,
        shares=_shares(executed, inferences),
        fp32_layers=_fp32_layers(compute, inferences) if expect_int8 else (),
        outside_onednn=outside,
        announced_fp32=_announced(compute, inferences, outside, census) if expect_int8 else {},
    )


def _outside(compute: Sequence[Primitive], inferences: int, census: OperatorCensus) -> int:
    """How many quantizable operators of one inference have no primitive in oneDNN's log.

    Operators in the bodies of loops and branches are always among them, because Paddle runs those itself. The
    predictor fuses `gru` and `lstm`, where it can, with the layer in front: one primitive is two operators.
    """
    reachable = sum(_never_int8(primitive) is None for primitive in compute)
    recurrent = round(sum(primitive.kind == "rnn" for primitive in compute) / inferences)
    fused = min(recurrent, sum(census.counts.get(name, 0) for name in ("gru", "lstm")))
    return max(0, census.quantizable - round(reachable / inferences) - fused)


def _announced(
    compute: Sequence[Primitive], inferences: int, outside: int, census: OperatorCensus | None
) -> dict[str, int]:
    """How many operators of one inference stayed FP32 as the census had announced, by kind."""
    kinds = Counter(kind for primitive in compute if (kind := _never_int8(primitive)))
    announced = {kind: round(count / inferences) for kind, count in kinds.items()}
    if census and "while" in census.never:
        announced[IN_LOOP] = min(outside, census.nested)
    return {kind: count for kind, count in sorted(announced.items()) if count}


def _never_int8(primitive: Primitive) -> str | None:
    """The kind of a primitive's operator if that kind never runs in INT8, else None."""
    if primitive.kind == "deconvolution":
        return TRANSPOSED
    return THREE_D if primitive.kind == "convolution" and DEPTH.search(primitive.shape) else None


def _records(lines: Iterable[str]) -> Iterable[str]:
    """Yields each `onednn_verbose,` record. A line can hold several, when two threads print at once."""
    for line in lines:
        _, *records = line.strip().split(MARK)
        yield from records


def _primitive(fields: Sequence[str], template: Sequence[str]) -> Primitive | None:
    start = next((index for index, field in enumerate(fields[:4]) if field == "exec"), None)
    if start is None or len(fields) - start != len(template):
        return None
    named = dict(zip(template, fields[start:], strict=True))
    time_ms = _number(named.get("exec_time", ""))
    if time_ms is None or not named.get("primitive"):
        return None
    return Primitive(
        kind=named["primitive"],
        implementation=named.get("implementation", ""),
        dtypes=dict(DESCRIPTOR.findall(named.get("memory_descriptors", ""))),
        shape=named.get("problem_desc", ""),
        time_ms=time_ms,
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _shares(executed: Sequence[Primitive], inferences: int) -> tuple[PrimitiveShare, ...]:
    """The primitives grouped by kind, data type and implementation; the group with the most time is first."""
    groups: dict[tuple[str, str, str], list[Primitive]] = defaultdict(list)
    for primitive in executed:
        dtype = primitive.dtype if primitive.kind in COMPUTE_KINDS else _movement(primitive)
        groups[primitive.kind, dtype, primitive.implementation].append(primitive)
    shares = [
        PrimitiveShare(
            kind=kind,
            dtype=dtype,
            implementation=implementation,
            count=max(1, round(len(group) / inferences)),
            time_ms=_time(group) / inferences,
        )
        for (kind, dtype, implementation), group in groups.items()
    ]
    return tuple(sorted(shares, key=lambda share: -share.time_ms))


def _movement(primitive: Primitive) -> str:
    """The data types that a primitive without weights reads and writes. Example: "f32->s8"."""
    source = primitive.dtypes.get("src") or primitive.dtypes.get("data") or "undef"
    target = primitive.dtypes.get("dst", source)
    return source if source == target else f"{source}->{target}"


def _fp32_layers(compute: Sequence[Primitive], inferences: int) -> tuple[Fp32Layer, ...]:
    """One entry for each layer that did not run in INT8, the slowest first. Equal layers are repeated."""
    groups: dict[tuple[str, str, str, str], list[Primitive]] = defaultdict(list)
    nothing_int8 = not any(primitive.dtype == "int8" for primitive in compute)
    for primitive in compute:
        if primitive.dtype != "int8":
            reason = NOTHING_INT8 if nothing_int8 else _reason(primitive)
            groups[primitive.kind, primitive.dtype, primitive.shape, reason].append(primitive)
    layers = []
    for (kind, dtype, shape, reason), group in groups.items():
        layer = Fp32Layer(
            kind=kind, dtype=dtype, shape=shape, time_ms=_time(group) / len(group), reason=reason
        )
        layers += [layer] * max(1, round(len(group) / inferences))
    return tuple(sorted(layers, key=lambda layer: -layer.time_ms))


NOTHING_INT8 = (
    "nothing in this model ran in INT8: the conversion quantized no layer, or the predictor was opened "
    "without the switch that its layout needs (`enable_mkldnn_int8` for qdq)"
)


def _reason(primitive: Primitive) -> str:
    """The likely reason why a primitive is not INT8, judged by its verbose line alone."""
    source = primitive.dtypes.get("src", "")
    if source in INT8_TYPES:
        return "its input is INT8 but its weights are not: this layer has no weight scale"
    if primitive.dtype == "bf16":
        return "runs in BF16: `enable_mkldnn_bfloat16` is on, or the layer was skipped by INT8"
    if primitive.kind == "rnn":
        return "recurrent: oneDNN runs INT8 only for the legacy `lstm` and `gru` operators"
    if primitive.kind == "deconvolution":
        return "`conv2d_transpose` is not among the operators that Paddle quantizes for oneDNN"
    if _never_int8(primitive) is THREE_D:
        return "`conv3d` is not among the operators that Paddle quantizes for oneDNN"
    if primitive.kind == "matmul":
        return "multiplies two activations: `matmul_v2` must be in `op_types` and both inputs calibrated"
    if primitive.kind == "inner_product":
        return "FC: `mul` and `matmul_v2` must be in `op_types`, and its input needs a scale"
    return _convolution_reason(primitive)


def _convolution_reason(primitive: Primitive) -> str:
    groups, channels = GROUPS.search(primitive.shape), CHANNELS.search(primitive.shape)
    if groups and channels and groups[1] == channels[1]:
        return "depthwise: `depthwise_conv2d` must be in `op_types` and in `ops_to_quantize`"
    if channels and int(channels[1]) <= FIRST_LAYER_CHANNELS:
        return "first layer: its input, the picture itself, has no calibrated scale"
    return (
        "not quantized: `conv2d` is not in `op_types` or `ops_to_quantize`, the layer is on a skip list, "
        "or a neighbour without a scale keeps it FP32"
    )


def _time(primitives: Iterable[Primitive]) -> float:
    return sum(primitive.time_ms for primitive in primitives)


def _ratio(part: float, whole: float) -> float:
    return min(1.0, part / whole) if whole > 0 else 0.0
