"""How candidates are made: algorithms, layouts, and training with the rounding simulated."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Literal, Protocol

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


class _Algorithm(Protocol):
    """What this section asks of the record of an algorithm."""

    @property
    def name(self) -> str: ...

    @property
    def magnitudes(self) -> object | None: ...

    @property
    def needs_training(self) -> bool: ...


class _Layout(Protocol):
    """What this section asks of the record of a layout."""

    @property
    def name(self) -> str: ...

    @property
    def form(self) -> QuantizedForm: ...

    @property
    def algorithms(self) -> tuple[str, ...] | None: ...


ALGORITHMS: Choice[_Algorithm] = Choice("paddle_int8.tasks.algorithms:ALGORITHMS")
LAYOUTS: Choice[_Layout] = Choice("paddle_int8.tasks.layouts:LAYOUTS")


def takes(layout: str, algorithm: str) -> bool:
    """Whether a layout can have the scales that an algorithm finds."""
    record = LAYOUTS.find(layout)
    if record.algorithms is not None and algorithm not in record.algorithms:
        return False
    return record.form is not QuantizedForm.FP32 or ALGORITHMS.find(algorithm).magnitudes is not None


class QatConfig(Section):
    """Quantization-aware training with PaddleSlim's `quant_aware`: the FP32 model is trained further while
    INT8 rounding is simulated in it."""

    # incidental, since the drawn samples themselves are in the step's key, by their digest
    data: Incidental[Source] = Field(
        description="Labelled training samples; none of them may be among the validation samples."
    )
    samples: Incidental[int | None] = Field(
        default=None,
        ge=1,
        description="How many training samples are drawn; without a number, all are taken.",
    )
    objective: Objective = Field(
        default="cross_entropy",
        description="Loss to minimise: `cross_entropy`, or a `package.module:function` that takes "
        "(outputs, label) and returns the loss variable.",
    )
    epochs: int = Field(default=1, ge=1, description="How many times each sample is seen.")
    batch_size: int = Field(default=32, ge=1, description="How many samples one training step takes.")
    learning_rate: float = Field(
        default=1e-4, gt=0, description="Highest learning rate of Adam, which falls along a cosine."
    )
    activation_quantize_type: Literal["moving_average_abs_max", "range_abs_max", "abs_max"] = Field(
        default="moving_average_abs_max", description="How the scale of an activation is learned."
    )
    freeze_batch_norm: bool = Field(
        default=True, description="Whether BatchNorm keeps the statistics of the exported model."
    )
    checkpoint_every_s: Incidental[float] = Field(
        default=60,
        ge=0,
        description="Seconds between checkpoints; a killed training resumes from the last one.",
    )
    seed: int = Field(
        default=0, ge=0, le=HIGHEST_SEED, description="Seed of the order in which the samples are seen."
    )
    timeout_s: Limit = Field(
        default=24 * 3600, gt=0, description="Seconds after which the training is stopped."
    )


class SearchConfig(Section):
    """How much a release may try. When that is used up, the best candidate so far is judged."""

    minutes: float | None = Field(
        default=None,
        gt=0,
        description="Minutes after which the strategy is asked for no further candidates. A grid asks for "
        "all of its candidates at once.",
    )
    candidates: int | None = Field(
        default=None, ge=1, description="How many candidates are tried at most, those of the grid included."
    )


class QuantizationConfig(Section):
    """How candidates are quantized: by PaddleSlim's `quant_post_static`, and `quant_aware` for `qat`."""

    algorithms: tuple[Annotated[str, ALGORITHMS], ...] = Field(
        default=("hist", "KL", "avg"),
        description="Ways to find the scales; each is tried with each layout. None are needed where the "
        "section `candidates` names models.",
    )
    layouts: tuple[Annotated[str, LAYOUTS], ...] = Field(
        default=("offline", "qdq"),
        min_length=1,
        description="Ways to pack the INT8 model: `offline` holds INT8 operators, `recurrent` is for GRU "
        "and LSTM models, and `qdq` is turned into INT8 operators by Paddle Inference when it loads the "
        "model. `offline_7bit` and `recurrent_7bit` are `offline` and `recurrent` with weights of 7 bits, "
        "for CPUs without VNNI.",
    )
    strategy: Annotated[str, Choice("paddle_int8.tasks.strategies:STRATEGIES")] = Field(
        default="auto", description="How the candidates to try are chosen among algorithms and layouts."
    )
    # incidental: it decides which candidates there are, and nothing about any one of them
    search: Incidental[SearchConfig] = Field(
        default=SearchConfig(), description="How much a strategy may try."
    )
    op_types: tuple[str, ...] = Field(
        default=("conv2d", "depthwise_conv2d", "mul", "matmul", "matmul_v2"),
        min_length=1,
        description="Operator types to quantize.",
    )
    skip_tensors: tuple[str, ...] = Field(
        default=(), description="Names of tensors; an operator that reads one of them stays FP32."
    )
    keep_fp32: tuple[str, ...] = Field(
        default=(),
        description="Operators that stay FP32: layers, output tensors or types, such as `conv2d_0`, "
        "`conv2d_1*` or `matmul_v2`; `conv2d_0..conv2d_4` means all operators between the two.",
    )
    round_type: Literal["round", "adaround"] = Field(
        default="round",
        description="How weights are rounded: `round` to the nearest integer, or `adaround`, which "
        "learns the direction and is slow. The algorithm `qat` always uses `round`.",
    )
    bias_correction: bool = Field(
        default=False,
        description="Whether each channel's mean weight is restored after rounding. The algorithm `qat` "
        "ignores it.",
    )
    weight_quantize_type: Literal["channel_wise_abs_max", "abs_max"] = Field(
        default="channel_wise_abs_max",
        description="Scales of the weights: one for each channel, or one for the whole tensor.",
    )
    hist_percent: float = Field(
        default=0.9999,
        gt=0,
        le=1,
        description="Share of an activation's values that `hist` leaves unclipped.",
    )
    smooth_alpha: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How much of the difference between channels `smooth` moves from activations into "
        "weights: with 1 the channels of the activations are alike, with 0 those of the weights.",
    )
    fast_calibration: bool = Field(
        default=True,
        description="Whether all algorithms share this project's calibration, or PaddleSlim samples for each "
        "candidate; the scales are equal to the last bit.",
    )
    timeout_s: Limit = Field(
        default=3600, gt=0, description="Seconds after which quantizing one candidate is stopped."
    )
    qat: QatConfig | None = Field(
        default=None, description="How the model is trained for the algorithm `qat`."
    )

    @model_validator(mode="after")
    def _training_is_described(self) -> QuantizationConfig:
        trained = self._trained()
        if bool(trained) != (self.qat is not None):
            named = " and ".join(f"`{name}`" for name in trained or ("qat",))
            raise ValueError(f"the algorithm {named} and the section `quantization.qat` need each other")
        return self

    def candidates(self) -> tuple[Candidate, ...]:
        """Every algorithm in every layout that it is possible in; each algorithm's layouts stand together."""
        return tuple(
            Candidate(algorithm=algorithm, layout=layout)
            for algorithm in dict.fromkeys(self.algorithms)
            for layout in dict.fromkeys(self.layouts)
            if takes(layout, algorithm)
        )

    def _trained(self) -> list[str]:
        """The algorithms that train the model further."""
        return [name for name in self.algorithms if ALGORITHMS.find(name).needs_training]

    @model_validator(mode="after")
    def _trained_layouts(self) -> QuantizationConfig:
        pairs = product(self.layouts, self._trained())
        for layout, name in (pair for pair in pairs if not takes(*pair)):
            raise ValueError(
                f"the algorithm `{name}` trains for the layouts `offline` and `qdq`; the layout `{layout}` "
                f"takes only scales that {_taken(layout)} find: take `{name}` or `{layout}` out"
            )
        return self

    @model_validator(mode="after")
    def _kept_where_possible(self) -> QuantizationConfig:
        whole = [name for name in self.layouts if LAYOUTS.find(name).form is QuantizedForm.FP32]
        if self.keep_fp32 and whole:
            raise ValueError(
                f"layout `{whole[0]}` quantizes recurrent layers alone and keeps none of them in FP32: "
                f"take `{whole[0]}` or `keep_fp32` out"
            )
        return self

    @model_validator(mode="after")
    def _some_candidate(self) -> QuantizationConfig:
        if self.algorithms and not self.candidates():
            calibrated = [f"`{name}` is calibrated with one of {_taken(name)}" for name in self.layouts]
            raise ValueError(f"layout {', layout '.join(calibrated)}")
        return self


def _taken(layout: str) -> str:
    """The algorithms whose scales a layout can have."""
    return ", ".join(name for name in ALGORITHMS.names() if takes(layout, name))


class ConversionConfig(Section):
    """How a quantized model is converted into the `offline` layouts, in the names of the published script.

    `native_ops` alone is this project's own: it changes the FP32 model, and so applies to every layout.
    """

    ops_to_quantize: tuple[str, ...] = Field(
        default=(),
        description="Operator types that run in INT8, such as `conv2d`; empty means all that can.",
    )
    op_ids_to_skip: tuple[int, ...] = Field(
        default=(), description="Ids of operators that stay FP32; the drawings of `debug` show them."
    )
    native_ops: tuple[str, ...] = Field(
        default=(),
        description="Operator types that run in Paddle's own kernels instead of oneDNN's, in the FP32 "
        "baseline and in every layout.",
    )
    debug: bool = Field(default=False, description="Whether the graph is drawn after every pass.")
    timeout_s: Limit = Field(
        default=1800, gt=0, description="Seconds after which converting one candidate is stopped."
    )
