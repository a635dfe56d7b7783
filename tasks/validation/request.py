"""What to measure of one candidate on one instruction set, and how its models are opened.

This module runs in the isolated process only, but for the request itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import DatasetArtifact, DeployableArtifact, ModelArtifact
from paddle_int8.tasks.contracts.errors import MeasurementError
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.engines.engine import Engine, EngineSwitches, Predictor
from paddle_int8.tasks.engines.paddle.original import baseline_folder
from paddle_int8.tasks.engines.paddle.predictor import PredictorSpec, spec_of
from paddle_int8.tasks.engines.paddle.switches import BASELINE, Switches
from paddle_int8.tasks.hardware.onednn import require_isa
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import Layout
from paddle_int8.tasks.validation.latency import pin
from paddle_int8.tasks.validation.load import LoadEvidence

SAME_OUTPUT = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureRequest:
    """What to measure, and where its files go.

    `folder` receives `outcomes.npz` (per-sample scores of both) and the example that a
    bundle ships. `baseline_outputs` is the file that `write_baseline_outputs` made with the same model and
    validation data, `accuracy_batch_size`, threads and instruction set. `switches` are used instead of the
    layout's own. The references of `config` are timed on the instruction set that serves, on no emulated one.
    """

    model: ModelArtifact
    deployable: DeployableArtifact
    validation: DatasetArtifact
    config: ValidationConfig
    confidence: float
    isa: IsaLevel
    emulated: bool
    folder: Path
    log: Path
    baseline_outputs: Path
    baseline_load: LoadEvidence
    seed: int = 0
    switches: Switches | None = None

    @property
    def layout(self) -> Layout:
        return LAYOUTS.find(self.deployable.candidate.layout)

    @property
    def engine(self) -> Engine:
        """What runs the candidate. The baseline and the references are Paddle's."""
        return ENGINES.find(self.layout.engine)

    @property
    def candidate_switches(self) -> EngineSwitches:
        return self.switches or self.layout.switches_for(self.deployable.candidate)

    def open_candidate(self) -> Predictor:
        return self.engine.open(self.deployable.folder, self.candidate_switches, self.config.threads)

    def baseline_spec(self, switches: Switches = BASELINE) -> PredictorSpec:
        return spec_of(baseline_folder(self.model.folder), switches, self.config.threads)

    @property
    def step(self) -> str:
        return f"validate {self.deployable.candidate.name} {self.isa}"

    @property
    def timing_step(self) -> str:
        return f"time {self.deployable.candidate.name} {self.isa}"


def prepare(request: MeasureRequest, place: int = 0) -> None:
    """Pins this process and loads the candidate's engine. place: see `latency.pin`.

    Raises: MeasurementError when another instruction set is used than `request.isa`.
    """
    pin(request.config.threads, place)
    engine = request.engine
    engine.load()
    require_isa(request.isa)
    require_isa(request.isa, used=engine.isa(), by=engine.name)


def require_undisturbed(before: Sequence[Array], after: Sequence[Array]) -> None:
    """Checks that the candidate still answers as it did before other predictors ran in this process.

    The predictors of a process share oneDNN's caches. The tolerance allows for sums in another order; another
    model's weights would differ far more.
    """
    if not all(_alike(old, new) for old, new in zip(before, after, strict=True)):
        raise MeasurementError(
            found="the candidate answers the same input differently after other predictors ran beside it",
            required="equal outputs for equal inputs",
            remedy="set `validation.threads` to 1; if it stays, this model's figures cannot be trusted",
        )


def _alike(old: Array, new: Array) -> bool:
    largest = float(np.abs(old[np.isfinite(old)]).max(initial=0.0))
    return bool(np.allclose(old, new, rtol=0, atol=SAME_OUTPUT * largest, equal_nan=True))
