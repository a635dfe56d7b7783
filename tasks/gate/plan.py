"""Which tests of its candidates a release plans, known from its configuration alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.gate.looks import allowed_error, shared
from paddle_int8.tasks.sensitivity.choice import can_be_simulated
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.strategies.strategy import Strategy
from paddle_int8.tasks.validation.statistics import fewest_samples


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`candidates` are tested together on `samples` validation samples, by `gate`.

    samples: a search that learns leaves only a part of the drawn samples to its test, of about this size.
    """

    samples: int
    candidates: int
    gate: GateConfig


def samples_for_two(config: ReleaseConfig) -> int:
    """How many validation samples decide the margin twice, if INT8 loses none of them.

    Each test has half of the error: all candidates on all samples, as if each erred on others, and then the
    finalist of a search on the part that the search does not see.
    """
    gate = shared(config.gate)
    error = allowed_error(gate)
    together = fewest_samples(gate.max_drop_pp, confidence=1 - error / max(1, config.number_of_candidates))
    finalist = fewest_samples(gate.max_drop_pp, confidence=1 - error)
    return max(together, math.ceil(finalist / (1 - config.validation.search_share)))


def goes_on_with(config: ReleaseConfig, drawn: int) -> Strategy | None:
    """The strategy that searches on where the first one approves nothing; None where there is none.

    There is none either where no operator of a candidate can be kept in FP32, as in recurrent layouts, or
    where `drawn` validation samples are too few for a second test: the first one then has the whole error
    that the gate allows.
    """
    then = STRATEGIES.find(config.quantization.strategy).then
    return STRATEGIES.find(then) if then and _mixable(config) and drawn >= samples_for_two(config) else None


def why_alone(config: ReleaseConfig, drawn: int) -> str:
    """Why a release whose strategy would search on does not."""
    if not _mixable(config):
        return "none of their operators can be kept in FP32 one by one"
    margin, needed = f"`gate.max_drop_pp: {config.gate.max_drop_pp:g}`", samples_for_two(config)
    return f"{drawn:,} validation samples do not decide {margin} twice, which takes {needed:,}"


def _mixable(config: ReleaseConfig) -> bool:
    """Whether some operators of a candidate could be kept in FP32, so that there is a mix to search for."""
    return any(map(can_be_simulated, config.quantization.candidates()))


def planned(config: ReleaseConfig, drawn: int) -> Plan:
    """The first test of a release that draws so many validation samples."""
    gate = shared(config.gate) if goes_on_with(config, drawn) else config.gate
    if STRATEGIES.find(config.quantization.strategy).learns:
        unseen = round(drawn * (1 - config.validation.search_share))
        return Plan(samples=unseen, candidates=1, gate=gate)
    return Plan(samples=drawn, candidates=config.number_of_candidates, gate=gate)
