"""The calibrations of a release: each is made once, for all candidates that need it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from paddle_int8.tasks.algorithms.request import observed_for
from paddle_int8.tasks.algorithms.task import calibrate
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    ModelArtifact,
    ObservedArtifact,
)
from paddle_int8.tasks.contracts.errors import PipelineError
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm


@dataclass(slots=True)
class Calibrations:
    """What was observed of one model on its calibration samples so far, or why it could not be."""

    config: ReleaseConfig
    model: ModelArtifact
    samples: DatasetArtifact
    made: dict[tuple[Observed, QuantizedForm], ObservedArtifact | PipelineError] = field(default_factory=dict)

    def make(self, candidates: Iterable[Candidate]) -> None:
        """Makes what `candidates` need and is not there yet, side by side."""
        section = self.config.quantization
        needed = {each for candidate in candidates for each in observed_for(candidate, section)}
        running = {
            (kind, form): calibrate.submit(
                self.model,
                self.samples,
                kind,
                form,
                section.op_types,
                self.config.data.calibration_batch_size,
                section.timeout_s,
            )
            for kind, form in sorted(needed - self.made.keys())
        }
        for key, future in running.items():
            try:
                self.made[key] = future.result()
            except PipelineError as error:
                self.made[key] = error

    def of(self, candidate: Candidate) -> tuple[ObservedArtifact, ...]:
        """What was observed for a candidate. Raises: PipelineError when one of its calibrations failed."""
        found = []
        for each in observed_for(candidate, self.config.quantization):
            made = self.made[each]
            if isinstance(made, PipelineError):
                raise made
            found.append(made)
        return tuple(found)
