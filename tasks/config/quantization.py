"""How candidates are made: algorithms, layouts, and training with the rounding simulated."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal

from pydantic import (
    Field,
    model_validator,
)

from paddle_int8.tasks.config.choice import Choice
from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.config.section import HIGHEST_SEED, Limit, Section
from paddle_int8.tasks.config.spoken import (
    Objective,
)
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.keys import Incidental
from paddle_int8.tasks.contracts.vocabulary import QuantizedForm

ALGORITHMS = Choice("paddle_int8.tasks.algorithms:ALGORITHMS")
LAYOUTS = Choice("paddle_int8.tasks.layouts:LAYOUTS")


def takes(layout: str, algorithm: str) -> bool:
    """Whether a layout can have the scales that an algorithm finds."""
    record = LAYOUTS.find(layout)
    if record.algorithms is not None and algorithm not in record.algorithms:
        return False
    return record.form is not QuantizedForm.FP32 or ALGORITHMS.find(algorithm).magnitudes is not None


class QatConfig(Section):
    """PaddleSlim's `quant_aware`: training on from the FP32 model, with its rounding simulated."""

    # the training knows the samples that were drawn by their digest
    data: Incidental[Source] = Field(
        description="Labelled training samples; none of them may be among the validation's."
    )
    samples: Incidental[int | None] = Field(default=None, ge=1, description="None takes all.")
    objective: Objective = Field(
        default="cross_entropy",
        description="`cross_entropy`, or `package.module:function` of (outputs, label) -> loss variable.",
    )
    epochs: int = Field(default=1, ge=1, description="Times that each sample is seen.")
    batch_size: int = Field(default=32, ge=1, description="Samples in a training step.")
    learning_rate: float = Field(default=1e-4, gt=0, description="Peak of a cosine schedule, Adam.")
    activation_quantize_type: Literal["moving_average_abs_max", "range_abs_max", "abs_max"] = Field(
        default="moving_average_abs_max", description="How the scale of an activation is learned."
    )
    freeze_batch_norm: bool = Field(default=True, description="Keep BatchNorm's statistics as exported.")
    checkpoint_every_s: Incidental[float] = Field(
        default=60, ge=0, description="Seconds between checkpoints, from which a killed run goes on."
    )
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED, description="Of the order of the samples.")
    timeout_s: Limit = Field(default=24 * 3600, gt=0, description="Limit of the training, in seconds.")


class QuantizationConfig(Section):
    """PaddleSlim's `quant_post_static`, and `quant_aware` where `algorithms` has `qat`."""

    algorithms: tuple[Annotated[str, ALGORITHMS], ...] = Field(
        default=("hist", "KL", "avg"),
        min_length=1,
        description="Ways to find the scales; each is a candidate in each layout.",
    )
    layouts: tuple[Annotated[str, LAYOUTS], ...] = Field(
        default=("offline", "qdq"),
        min_length=1,
        description="INT8 graph made here (`offline`; `offline_7bit` for CPUs without VNNI; of GRU and LSTM "
        "`recurrent`), or by Paddle Inference at load (`qdq`).",
    )
    strategy: Annotated[str, Choice("paddle_int8.tasks.strategies:STRATEGIES")] = Field(
        default="grid", description="How the candidates to try are chosen among algorithms and layouts."
    )
    op_types: tuple[str, ...] = Field(
        default=("conv2d", "depthwise_conv2d", "mul", "matmul", "matmul_v2"),
        min_length=1,
        description="Operators to quantize.",
    )
    skip_tensors: tuple[str, ...] = Field(
        default=(), description="Operators that read one of these tensors stay FP32."
    )
    round_type: Literal["round", "adaround"] = Field(
        default="round", description="Of the weights; adaround learns which way, slowly. `qat` rounds."
    )
    bias_correction: bool = Field(
        default=False, description="Restore the weights' mean after rounding, but for `qat`."
    )
    weight_quantize_type: Literal["channel_wise_abs_max", "abs_max"] = Field(
        default="channel_wise_abs_max", description="One scale a channel, or one a tensor."
    )
    hist_percent: float = Field(
        default=0.9999, gt=0, le=1, description="Share of the values that `hist` does not clip."
    )
    fast_calibration: bool = Field(
        default=True, description="This project's KL and histogram code; thresholds bit-equal."
    )
    timeout_s: Limit = Field(default=3600, gt=0, description="Limit of one candidate, in seconds.")
    qat: QatConfig | None = Field(default=None, description="Training for the algorithm `qat`, below.")

    @model_validator(mode="after")
    def _training_is_described(self) -> QuantizationConfig:
        trained = self._trained()
        if bool(trained) != (self.qat is not None):
            named = " and ".join(f"`{name}`" for name in trained or ("qat",))
            raise ValueError(f"the algorithm {named} and the section `quantization.qat` need each other")
        return self

    def candidates(self) -> tuple[Candidate, ...]:
        """The grid, algorithms first."""
        return tuple(
            Candidate(algorithm=algorithm, layout=layout)
            for algorithm in dict.fromkeys(self.algorithms)
            for layout in dict.fromkeys(self.layouts)
            if takes(layout, algorithm)
        )

    def _trained(self) -> list[str]:
        """The algorithms that train the model on."""
        return [name for name in self.algorithms if ALGORITHMS.find(name).needs_training]

    @model_validator(mode="after")
    def _trained_layouts(self) -> QuantizationConfig:
        pairs = product(self.layouts, self._trained())
        for layout, name in (pair for pair in pairs if not takes(*pair)):
            raise ValueError(
                f"the algorithm `{name}` trains for the layouts `offline` and `qdq`; layout `{layout}` has "
                f"scales of calibration alone, as {_taken(layout)} find them: take `{name}` or `{layout}` out"
            )
        return self

    @model_validator(mode="after")
    def _some_candidate(self) -> QuantizationConfig:
        if not self.candidates():
            calibrated = [f"`{name}` is calibrated with one of {_taken(name)}" for name in self.layouts]
            raise ValueError(f"layout {', layout '.join(calibrated)}")
        return self


def _taken(layout: str) -> str:
    """The algorithms whose scales a layout can have."""
    return ", ".join(name for name in ALGORITHMS.names() if takes(layout, name))


class ConversionConfig(Section):
    """Of the `offline` layouts, but for `native_ops`; the other names are those of the published script's
    options."""

    ops_to_quantize: tuple[str, ...] = Field(default=(), description="Empty means all that can be.")
    op_ids_to_skip: tuple[int, ...] = Field(default=(), description="Operators that stay FP32.")
    native_ops: tuple[str, ...] = Field(
        default=(),
        description="Operator types that Paddle's own kernels run, in the baseline and in every layout.",
    )
    debug: bool = Field(default=False, description="Draw the graph after every pass.")
    timeout_s: Limit = Field(default=1800, gt=0, description="Limit of one candidate, in seconds.")
