"""What a layout is: how a quantized model is packed, which engine runs it and how it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.artifacts import Candidate, OperatorCensus
from paddle_int8.tasks.contracts.vocabulary import QuantizedForm
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.engine import EngineSwitches
from paddle_int8.tasks.engines.paddle.files import ModelSource, find_model

if TYPE_CHECKING:
    from paddle_int8.tasks.config.quantization import ConversionConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRequest:
    """A model to convert.

    quantized: the folder that the quantizer filled, with `scales.json`, the threshold of each tensor.
    folder: where the converted model goes.
    config: the section `conversion`, in which every field that the layout does not read has its default.
    """

    quantized: Path
    folder: Path
    config: ConversionConfig

    @property
    def source(self) -> ModelSource:
        """The files of the quantized model."""
        return find_model(ModelFiles(path=self.quantized))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The record of a layout.

    engine: the name of the engine that runs it.
    form: what the quantizer writes for it.
    convert: makes the INT8 model, in the isolated process; a function at the top of a module.
        Raises: ConversionError when nothing in the result would run in INT8.
    switches: how the engine opens the model; None where the engine has nothing to switch.
    bf16_switches: how the engine opens a model in which all that is not INT8 runs in BF16; None where the
        layout allows no BF16.
    algorithms: the names of the algorithms whose scales it can take; None for all algorithms.
    reads: the fields of the section `conversion` that the conversion reads.
    legacy_recurrence: whether operators `rnn` are rewritten with `lstm` when the model is loaded.
    operator_per_kernel: whether each kernel that ran stands for one operator of the FP32 model, so that an
        audit can tell how many operators no kernel accounts for. False where one kernel stands for several
        fused operators, or runs once for each bucket of lengths.
    narrowed: the name of the layout for the same models in which sums of products fit into 16 bits, as they
        must on CPUs without VNNI: its own where they do; "" where there is none.
    simulated: whether the quantized model, run as it is, simulates the rounding of the INT8 model.
    note: a sentence for the readers of the report; "" where there is nothing to say.
    """

    name: str
    description: str
    engine: str
    form: QuantizedForm
    convert: Callable[[ConversionRequest], ConvertedModel]
    switches: EngineSwitches = None
    bf16_switches: EngineSwitches = None
    algorithms: tuple[str, ...] | None = None
    reads: frozenset[str] = frozenset()
    legacy_recurrence: bool = False
    operator_per_kernel: bool = True
    narrowed: str = ""
    simulated: bool = True
    note: str = ""

    @property
    def narrow(self) -> bool:
        """Whether sums of its products fit into 16 bits."""
        return self.narrowed == self.name

    def switches_for(self, candidate: Candidate) -> EngineSwitches:
        """How the engine opens the model of `candidate`."""
        return (candidate.in_bf16 and self.bf16_switches) or self.switches

    def comparable(self, census: OperatorCensus) -> OperatorCensus | None:
        """`census` of the FP32 model where an audit can be compared with it, else None."""
        return census if self.operator_per_kernel else None
