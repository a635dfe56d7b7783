"""What a strategy may ask of the release that it searches for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prefect import get_run_logger

from paddle_int8.flows.releasing.inputs import Inputs
from paddle_int8.tasks.algorithms import section
from paddle_int8.tasks.algorithms.trained import trained_for
from paddle_int8.tasks.contracts.artifacts import FinetunedArtifact
from paddle_int8.tasks.contracts.sensitivity import Sensitivity
from paddle_int8.tasks.contracts.verdict import Judged
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.gate import confirmation
from paddle_int8.tasks.sensitivity.choice import most_promising
from paddle_int8.tasks.sensitivity.task import sensitivity, time_operators
from paddle_int8.tasks.tracking.task import log_sensitivity

EXPLAINED_S = 300
"""Seconds after which an explanation is given up: nobody waits for it."""


@dataclass(frozen=True, slots=True)
class ReleaseBench:
    """Answers from the verdicts of a release, and by its steps.

    finetuned: the trained model of the candidates that need one.
    studied: what was measured so far.
    """

    inputs: Inputs
    finetuned: FinetunedArtifact | None
    studied: dict[str, Sensitivity | None]

    def is_usable(self, judged: Judged) -> bool:
        return confirmation.is_usable(judged, self.inputs.config.gate)

    def is_right(self, judged: Judged) -> bool:
        unseen = self.inputs.confirmation or self.inputs.validation
        return confirmation.is_right(judged, self.inputs.config.gate, unseen.samples)

    def sensitivity(self, judged: Judged) -> Sensitivity | None:
        """Measures and logs it once. A failure is logged, and ends neither the search nor the release."""
        name = judged.candidate.name
        if name not in self.studied:
            self.studied[name] = self._measured(judged, self.inputs.config.quantization.timeout_s)
        return self.studied[name]

    def explanation(self, judged: Sequence[Judged]) -> Sensitivity | None:
        """What the search had measured; else that of the most promising one, if wrong answers reject all.

        Returns None where some candidate is not rejected, or none by its answers.
        """
        if known := [each for each in self.studied.values() if each]:
            return known[-1]
        rejected = [each for each in judged if each.verdict.outcome is Outcome.REJECTED]
        wrong = [each for each in rejected if confirmation.fails_by_its_answers(each.verdict)]
        if len(rejected) < len(judged) or (promising := most_promising(wrong)) is None:
            return None
        return self._measured(promising, min(EXPLAINED_S, self.inputs.config.quantization.timeout_s))

    def _measured(self, judged: Judged, timeout_s: float) -> Sensitivity | None:
        inputs, config = self.inputs, self.inputs.config
        isa = next(iter(inputs.baselines))
        try:
            measured = sensitivity(
                inputs.model,
                judged.quantized,
                inputs.calibration,
                section.own_section(config.quantization, judged.candidate),
                config.data.calibration_batch_size,
                trained_for(judged.candidate, self.finetuned),
                tuple(inputs.baselines),
                timeout_s,
            )
            times = time_operators(
                inputs.model,
                judged.deployable,
                inputs.calibration,
                config.validation.batch_size,
                config.validation.threads,
                isa,
                limited=isa is not inputs.host.isa,
                timeout_s=timeout_s,
            )
            timed = measured.timed(times)
            log_sensitivity(inputs.run_id, timed)
        # whatever it is: an explanation must not cost the verdict that it explains
        except Exception as error:  # noqa: BLE001
            get_run_logger().warning(
                f"what the operators of {judged.candidate.name} cost is not known: {error}"
            )
            return None
        return timed
