"""Finds the operator that oneDNN computes wrongly, when the model's outputs differ from Paddle's own kernels.

1. Every tensor is made an output of the program, so that all intermediate results can be compared.
2. Each operator whose result differs is run alone by Paddle's own kernel, on the inputs that oneDNN's kernel
   had. A difference that remains is the operator's fault, not rounding that accumulated before it.
3. If no operator is at fault, a fusion may be: fusions do not happen while every tensor is an output. The
   program is then cut after one tensor or another, by bisection, until the first cut that differs is found.

This module runs in the isolated process only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.sequences import LENGTHS, offsets, packed
from paddle_int8.tasks.engines.paddle.blocks import position, remove_unread
from paddle_int8.tasks.engines.paddle.files import MODEL_FILENAME, PARAMS_FILENAME, find_model
from paddle_int8.tasks.engines.paddle.private.operators import remove_operator
from paddle_int8.tasks.engines.paddle.private.programs import append_fetches, serialized
from paddle_int8.tasks.engines.paddle.private.tensors import new_tensor
from paddle_int8.tasks.engines.paddle.serving import paddle_config
from paddle_int8.tasks.engines.paddle.switches import BASELINE, NATIVE_FP32, Switches

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.program import LoadedProgram
    from paddle_int8.tasks.engines.paddle.types import Operator, Program

WRONG = 1e-3
"""A tensor is wrong when it differs by more than this fraction of its greatest native value. The rounding
of a single operator is a thousand times smaller."""
SAMPLES = 2
NOT_ALONE = frozenset({"feed", "fetch", "while", "conditional_block", "conditional_block_infer"})

Value = tuple[Array, Array | None]
"""A tensor, and the lengths of the sequences in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An operator whose result differs from that of Paddle's own kernel.

    `tensor` is the result, and `difference` is a fraction of its greatest value. `layer` is the name of the
    operator's first parameter, "" when it has none. `fused` is True when the fault appears only while the
    operator is fused with those before it.
    """

    operator: str
    tensor: str
    layer: str
    difference: float
    fused: bool

    def __str__(self) -> str:
        layer = f" of layer {self.layer}" if self.layer else ""
        where = "fused with the operators in front of it" if self.fused else "on equal inputs"
        return (
            f"Operator {self.operator}{layer} is at fault: {where}, its tensor {self.tensor} differs by "
            f"{100 * self.difference:.2g} % of its greatest value"
        )


def find_fault(folder: Path, feed: Feed, threads: int, outputs: Sequence[str]) -> Fault | None:
    """The first operator at fault; None when no single operator is.

    feed: one batch; only its first samples are used when the model accepts any batch size.
    outputs: the names of the model's outputs that differ.
    """
    from paddle_int8.tasks.engines.paddle.program import load_program

    loaded = load_program(find_model(ModelFiles(path=folder)))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:  # an isolated process's own folder
        reading = {name for op in loaded.program.global_block().ops for name in op.input_arg_names}
        search = _Search(
            loaded=loaded,
            reading=reading,
            feed=_few(loaded, feed),
            threads=threads,
            scratch=Path(scratch),
        )
        return search.operator_at_fault() or search.fusion_at_fault(outputs)


@dataclass(slots=True)
class _Search:
    loaded: LoadedProgram
    reading: set[str]
    feed: Feed
    threads: int
    scratch: Path
    _numbers: count[int] = field(default_factory=count)

    def operator_at_fault(self) -> Fault | None:
        """The first operator that is wrong by itself. Every tensor is an output, so that none is fused."""
        operators = [op for op in self._operators() if op.type not in NOT_ALONE]
        names = list(dict.fromkeys(name for op in operators for name in self._read(op)))
        try:
            native, onednn = (self._run(each, names) for each in (NATIVE_FP32, BASELINE))
        except (RuntimeError, ValueError):
            return None
        for op in operators:
            if all(_difference(native[name], onednn[name]) <= WRONG for name in self._read(op)):
                continue
            if (fault := self._alone(op, onednn)) is not None:
                return fault
        return None

    def fusion_at_fault(self, outputs: Sequence[str]) -> Fault | None:
        """The operator that writes the first tensor that differs when the program is cut after it."""
        for output in outputs:
            chain = self._chain(output)
            good, bad = -1, len(chain) - 1
            if not chain or self._cut(chain[bad][1]) <= WRONG:
                continue
            while bad - good > 1:
                middle = (good + bad) // 2
                good, bad = (good, middle) if self._cut(chain[middle][1]) > WRONG else (middle, bad)
            op, name = chain[bad]
            return _fault(op, name, self._cut(name), fused=True)
        return None

    def _operators(self) -> list[Operator]:
        return list(self.loaded.program.global_block().ops)

    def _read(self, op: Operator) -> list[str]:
        """What `op` writes and somebody reads."""
        block = self.loaded.program.global_block()
        return [n for n in op.output_arg_names if n in self.reading and not block.var(n).persistable]

    def _chain(self, output: str) -> list[tuple[Operator, str]]:
        """The tensors that `output` follows from, it included, in the order in which they are computed."""
        wanted, chain = {output}, []
        for op in reversed(self._operators()):
            written = [name for name in op.output_arg_names if name in wanted]
            if written and op.type not in NOT_ALONE:
                chain.append((op, written[0]))
                wanted.update(op.input_arg_names)
        return chain[::-1]

    def _cut(self, name: str) -> float:
        """How far `name` is from native when the program is cut after it; 0 when the cut cannot be run."""
        try:
            native, onednn = (self._run(each, [name]) for each in (NATIVE_FP32, BASELINE))
        except (RuntimeError, ValueError):  # what follows from stored values alone is no output
            return 0.0
        return _difference(native[name], onednn[name])

    def _alone(self, op: Operator, values: dict[str, Value]) -> Fault | None:
        """The fault of `op`, if Paddle's own kernel makes other outputs of the inputs among `values`."""
        block, names = self.loaded.program.global_block(), self._read(op)
        inputs = [n for n in dict.fromkeys(op.input_arg_names) if not block.var(n).persistable]
        known = values | {name: _value(self.feed, name) for name in self.loaded.feeds}
        if not set(inputs) <= known.keys():
            return None
        try:
            native = _run_alone(self.loaded, op, {name: known[name] for name in inputs}, names)
        except (RuntimeError, ValueError):
            return None
        worst = max(names, key=lambda name: _difference(native[name], values[name]))
        difference = _difference(native[worst], values[worst])
        return _fault(op, worst, difference, fused=False) if difference > WRONG else None

    def _run(self, switches: Switches, names: Sequence[str]) -> dict[str, Value]:
        """The tensors `names` of the program, which ends with them."""
        from paddle.inference import create_predictor

        from paddle_int8.tasks.engines.paddle.program import save_program
        from paddle_int8.tasks.engines.paddle.serving import Executor

        folder = self.scratch / str(next(self._numbers))
        save_program(_ending_with(self.loaded, names), folder)
        options = asdict(replace(switches, memory_optim=False))
        config = paddle_config(folder / MODEL_FILENAME, folder / PARAMS_FILENAME, options, self.threads)
        executor = Executor(create_predictor(config), switches.onednn_cache_capacity)
        return dict(zip(executor.output_names, executor.run(self.feed), strict=True))


def _ending_with(loaded: LoadedProgram, names: Sequence[str]) -> LoadedProgram:
    """A copy of the program with the outputs `names`."""
    program = _copy(loaded)
    block = program.global_block()
    for op in [op for op in block.ops if op.type == "fetch"]:
        remove_operator(block, position(block, op))
    append_fetches(program, names)
    remove_unread(block, names)
    return replace(loaded, program=program, fetches=tuple(names))


def _run_alone(
    loaded: LoadedProgram, op: Operator, inputs: Mapping[str, Value], names: Sequence[str]
) -> dict[str, Value]:
    """The results `names` that Paddle's own kernel of `op` computes from `inputs`."""
    import paddle

    program, here = _copy(loaded), position(loaded.program.global_block(), op)
    block = program.global_block()
    for index in reversed(range(len(block.ops))):
        if index != here:
            remove_operator(block, index)
    cpu = paddle.CPUPlace()
    feed = {
        name: rows if lengths is None else new_tensor(rows, offsets(lengths))
        for name, (rows, lengths) in inputs.items()
    }
    with paddle.static.scope_guard(loaded.scope):
        found = paddle.static.Executor(cpu).run(
            program, feed=feed, fetch_list=list(names), return_numpy=False
        )
    return {name: (np.array(values), None) for name, values in zip(names, found, strict=True)}


def _copy(loaded: LoadedProgram) -> Program:
    import paddle

    copy: Program = paddle.static.deserialize_program(serialized(loaded.program))
    return copy


def _few(loaded: LoadedProgram, feed: Feed) -> Feed:
    """The first `SAMPLES` samples when every input accepts any batch size, else the whole feed."""
    block = loaded.program.global_block()
    free = all(block.var(name).shape[:1] in ((-1,), ()) for name in loaded.feeds)
    return {name: values[:SAMPLES] for name, values in feed.items()} if free else feed


def _value(feed: Feed, name: str) -> Value:
    lengths = feed.get(name + LENGTHS)
    return (feed[name], None) if lengths is None else (packed(feed[name], lengths), lengths)


def _difference(native: Value, other: Value) -> float:
    from paddle_int8.tasks.validation.native import difference

    left, right = native[0], other[0]
    if left.shape == right.shape and not np.issubdtype(left.dtype, np.floating):
        return float(np.mean(left != right)) if left.size else 0.0
    return difference(left, right)


def _fault(op: Operator, tensor: str, difference: float, *, fused: bool) -> Fault:
    parameters = [n for n in op.input_arg_names if op.block.has_var(n) and op.block.var(n).persistable]
    layer = parameters[0] if parameters else ""
    return Fault(operator=op.type, tensor=tensor, layer=layer, difference=difference, fused=fused)
