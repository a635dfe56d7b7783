"""Rewrites the operator `rnn` of `paddle.nn.LSTM`, which oneDNN never runs in INT8, with `lstm`.

Inputs and outputs of the program stay what they were: batches are unpadded into sequences (LoD) before the
first layer, and padded after the last one. Imports Paddle; isolated process only.

Source: the documentation of paddle.nn.LSTM (gates i, f, c, o) and of the operator `lstm` (c, i, f, o).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import paddle

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.blocks import readers, remove_unread, value, writer
from paddle_int8.tasks.engines.paddle.private.operators import insert_operator, remove_operator, rename_input
from paddle_int8.tasks.engines.paddle.program import LoadedProgram

if TYPE_CHECKING:
    from paddle_int8.tasks.engines.paddle.types import Block, DataType, Operator

OPERATOR = "rnn"
LEGACY_GATES = (2, 0, 1, 3)
"""Positions of the gates c, i, f, o in the order i, f, c, o."""
SWAP = [1, 0, 2]
HIDDEN, CELL = 0, 1
"""Positions of the two states among an operator's `State` outputs."""
ZEROS = frozenset({"fill_constant", "fill_constant_batch_size_like"})
FP32, INT32, INT64 = paddle.float32, paddle.int32, paddle.int64


def legacy_recurrence(loaded: LoadedProgram) -> int:
    """Rewrites every `rnn` of `loaded` in place; returns how many there were.

    Raises: ModelFormatError for what the legacy operators cannot express.
    """
    block = loaded.program.global_block()
    found = [op for op in block.ops if op.type == OPERATOR]
    for op in found:
        _require_expressible(block, op)
        _Rewrite(loaded, block, op).apply()
    if found:
        remove_unread(block, loaded.fetches)
    return len(found)


def legacy_gates(values: Array) -> Array:
    """`values`, [4 * hidden, ...], with the gates in the order of `lstm` instead of that of `rnn`."""
    gates = np.split(values, len(LEGACY_GATES))
    return np.concatenate([gates[position] for position in LEGACY_GATES])


def _require_expressible(block: Block, op: Operator) -> None:
    reason = _obstacle(block, op)
    if reason:
        raise ModelFormatError(
            found=f"an operator `rnn` {reason}",
            required="paddle.nn.LSTM with zero initial states, whose last cell states are not used",
            remedy="change the model so, or leave out the layout `recurrent`: this part then stays FP32",
        )


def _obstacle(block: Block, op: Operator) -> str:
    mode = op.attr("mode")
    if mode == "GRU":
        return (
            "of mode GRU: paddle.nn.GRU applies the reset gate after the recurrent product, the legacy `gru` "
            "before it, so the same weights give other results"
        )
    if mode != "LSTM":
        return f"of mode {mode}"
    writers = [writer(block, name) for name in op.input("PreState")]
    if any(each is None or each.type not in ZEROS or each.attr("value") != 0.0 for each in writers):
        return "with initial states that are not zero"
    if readers(block, op.output("State")[CELL]):
        return "whose last cell states are used, which the INT8 kernel does not write"
    return ""


@dataclass(slots=True)
class _Rewrite:
    """The rewrite of one `rnn`: new operators are inserted in front of it, then it is removed."""

    loaded: LoadedProgram
    block: Block
    op: Operator

    def apply(self) -> None:
        source = self._batch_first(self.op.input("Input")[0])
        lengths = self.op.input("SequenceLength")
        length = self._cast(lengths[0]) if lengths else self._full_lengths(source)
        values = self._append("sequence_unpad", {"X": source, "Length": length}, {"Out": FP32})["Out"]
        bidirectional, weights = self.op.attr("is_bidirec"), self._weights()
        lasts: list[str] = []
        for layer in range(self.op.attr("num_layers")):
            directions = range(1 + bidirectional)
            hidden = [
                self._layer(values, weights[layer * len(directions) + direction], reverse=direction == 1)
                for direction in directions
            ]
            lasts += [self._last(*pair) for pair in zip(hidden, ("LAST", "FIRST"), strict=False)]
            values = hidden[0] if len(hidden) == 1 else self._concatenated(hidden)
        self._append("stack", {"X": lasts}, {"Y": FP32}, {"axis": 0}, named=self.op.output("State")[HIDDEN])
        self._padded(values, source)
        remove_operator(self.block, self._index(self.op))

    def _index(self, op: Operator) -> int:
        return next(index for index, each in enumerate(self.block.ops) if each is op)

    def _weights(self) -> list[tuple[Array, Array, Array]]:
        """Weights of each layer and direction: [4H, in], [4H, H] and the sum of both biases, [4H]."""
        arrays = [value(self.loaded, name) for name in self.op.input("WeightList")]
        kernels, biases = arrays[: len(arrays) // 2], arrays[len(arrays) // 2 :]
        return [
            (kernels[first], kernels[first + 1], biases[first] + biases[first + 1])
            for first in range(0, len(kernels), 2)
        ]

    def _layer(self, values: str, weights: tuple[Array, Array, Array], *, reverse: bool) -> str:
        by_input, by_hidden, bias = (legacy_gates(each) for each in weights)
        projected = self._append(
            "mul",
            {"X": values, "Y": self._parameter(by_input.T)},
            {"Out": FP32},
            {"x_num_col_dims": 1, "y_num_col_dims": 1},
        )["Out"]
        return self._append(
            "lstm",
            {"Input": projected, "Weight": self._parameter(by_hidden.T), "Bias": self._parameter(bias[None])},
            {"Hidden": FP32, "Cell": FP32, "BatchGate": FP32, "BatchCellPreAct": FP32},
            {"is_reverse": reverse, "use_peepholes": False},
        )["Hidden"]

    def _last(self, hidden: str, end: str) -> str:
        """The step at which a direction ends, "LAST" or "FIRST", of each sequence: [batch, hidden]."""
        attributes = {"pooltype": end, "is_test": True}
        return self._append("sequence_pool", {"X": hidden}, {"Out": FP32, "MaxIndex": INT64}, attributes)[
            "Out"
        ]

    def _concatenated(self, values: Sequence[str]) -> str:
        return self._append("concat", {"X": list(values)}, {"Out": FP32}, {"axis": 1})["Out"]

    def _batch_first(self, name: str) -> str:
        """A tensor [batch, steps, ...] for one of [steps, batch, ...]: its source, if that was transposed."""
        source = writer(self.block, name)
        if source is not None and source.type == "transpose2" and source.attr("axis") == SWAP:
            return str(source.input("X")[0])
        return self._append("transpose2", {"X": name}, {"Out": FP32, "XShape": FP32}, {"axis": SWAP})["Out"]

    def _full_lengths(self, source: str) -> str:
        """The number of steps of the batch, for every sequence: [batch], int64."""
        steps = int(self.block.var(source).shape[1])
        filled = self._append(
            "fill_constant_batch_size_like",
            {"Input": source},
            {"Out": INT64},
            {
                "shape": [-1],
                "value": float(max(steps, 1)),
                "dtype": INT64,
                "input_dim_idx": 0,
                "output_dim_idx": 0,
            },
        )["Out"]
        if steps > 0:
            return filled
        shape = self._append("shape", {"Input": source}, {"Out": INT32})["Out"]
        attributes = {"axes": [0], "starts": [1], "ends": [2], "decrease_axis": [], "infer_flags": [1]}
        counted = self._append("slice", {"Input": shape}, {"Out": INT32}, attributes)["Out"]
        return self._append("elementwise_mul", {"X": filled, "Y": self._cast(counted)}, {"Out": INT64})["Out"]

    def _cast(self, name: str) -> str:
        given = self.block.var(name).dtype
        if given == INT64:
            return name
        return self._append("cast", {"X": name}, {"Out": INT64}, {"in_dtype": given, "out_dtype": INT64})[
            "Out"
        ]

    def _padded(self, values: str, source: str) -> None:
        """Writes what the `rnn` wrote: [steps, batch, hidden], or its transpose where only that is read."""
        zero = self._parameter(np.zeros(1, np.float32))
        steps = int(self.block.var(source).shape[1])
        padded = self._append(
            "sequence_pad",
            {"X": values, "PadValue": zero},
            {"Out": FP32, "Length": INT64},
            {"padded_length": steps if steps > 0 else -1},
        )["Out"]
        target = self.op.output("Out")[0]
        reading = readers(self.block, target)
        if reading and all(each.type == "transpose2" and each.attr("axis") == SWAP for each in reading):
            for reader in reading:
                for follower in readers(self.block, reader.output("Out")[0]):
                    rename_input(follower, reader.output("Out")[0], padded)
            return
        self._append("transpose2", {"X": padded}, {"Out": FP32, "XShape": FP32}, {"axis": SWAP}, named=target)

    def _append(
        self,
        kind: str,
        inputs: dict[str, str | list[str]],
        outputs: dict[str, DataType],
        attributes: Mapping[str, object] | None = None,
        named: str = "",
    ) -> dict[str, str]:
        """Inserts an operator in front of the `rnn`; returns the names of its outputs by slot.

        named: the existing variable that its first output is.
        """
        names: dict[str, str] = {}
        for slot, dtype in outputs.items():
            name = named if named and not names else paddle.utils.unique_name.generate(f"legacy_{kind}")
            if name != named:
                self.block.create_var(name=name, dtype=dtype, persistable=False)
            names[slot] = name
        insert_operator(
            self.block,
            self._index(self.op),
            type=kind,
            inputs={slot: value if isinstance(value, list) else [value] for slot, value in inputs.items()},
            outputs={slot: [name] for slot, name in names.items()},
            attrs=attributes or {},
        )
        return names

    def _parameter(self, values: Array) -> str:
        name: str = paddle.utils.unique_name.generate("legacy_weight")
        values = np.ascontiguousarray(values, np.float32)
        self.block.create_var(name=name, shape=values.shape, dtype=FP32, persistable=True, stop_gradient=True)
        self.loaded.scope.var(name).get_tensor().set(values, paddle.CPUPlace())
        return name
