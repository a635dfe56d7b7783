"""What a check finds, as the program prints it and the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.contracts.artifacts import OperatorCensus, TensorSpec
from paddle_int8.tasks.contracts.evidence import JudgedOutput
from paddle_int8.tasks.contracts.vocabulary import IsaLevel, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleAnswer:
    """A validation sample, and what FP32 answers to it, in words.

    text: what a text says; "" for other samples.
    label: None where the data have no label.
    score: by the first metric that needs no other model: 1 where FP32 is right, 0 where it is wrong, for
        graded metrics also between; None where there is no such metric.
    """

    name: str
    text: str
    label: str | None
    answer: str
    score: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFindings:
    """Calibration or validation data: a release takes `samples` of `found`, and the check read `read`."""

    source: str
    found: int
    samples: int
    read: int
    classes: int
    labelled: bool
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRange:
    """The values of an input of the model, after all preprocessing, over the samples that ran."""

    name: str
    lowest: float
    highest: float
    mean: float
    std: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The mean score of FP32 by one metric: a fraction of 1, on `samples` samples."""

    metric: str
    value: float
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Something that speaks against releasing with this configuration, and what to do.

    decisive: whether no candidate could be approved as things stand.
    """

    said: str
    remedy: str
    decisive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a release is going to need: between `seconds_low` and `seconds_high` on an idle host.

    memory_bytes: of all processes together, at the same time.
    """

    seconds: float
    seconds_low: float
    seconds_high: float
    memory_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What `paddle-int8 check` found out about a configuration.

    outcome: approved where nothing speaks against a release, inconclusive where something is doubtful.
    deciding_samples: of the validation, on which the release tests its candidates.
    fewest_samples: that can decide the margin `max_drop_pp`, when INT8 loses none of them.
    fewest_for_all: the same where the candidates err on different samples, and each is tested alone.
    decidable_pp: the narrowest margin that the validation samples can decide.
    alternatives: on how many of the samples FP32 would be right with another preprocessing, by its words.
    page: the HTML page with the samples.
    """

    name: str
    outcome: Outcome
    isa: IsaLevel
    model: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[JudgedOutput, ...]
    census: OperatorCensus
    calibration: DataFindings
    validation: DataFindings
    ranges: tuple[InputRange, ...]
    scores: tuple[Score, ...]
    samples: tuple[SampleAnswer, ...]
    alternatives: dict[str, int]
    doubts: tuple[Doubt, ...]
    candidates: tuple[str, ...]
    max_drop_pp: float
    deciding_samples: int
    fewest_samples: int
    fewest_for_all: int
    decidable_pp: float
    forecast: Forecast
    page: Path
    seconds: float
