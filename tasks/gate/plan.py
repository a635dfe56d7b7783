"""Which tests of its candidates a release plans, known from its configuration alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.gate.looks import shared
from paddle_int8.tasks.gate.sufficiency import fewest_for
from paddle_int8.tasks.sensitivity.choice import can_be_simulated
from paddle_int8.tasks.strategies import STRATEGIES
from paddle_int8.tasks.strategies.strategy import Strategy


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
    together = fewest_for(gate, max(1, config.number_of_candidates))
    return max(together, math.ceil(fewest_for(gate) / (1 - config.validation.search_share)))


def goes_on_with(config: ReleaseConfig, drawn: int) -> Strategy | None:
    """The strategy that searches on where the first one approves nothing; None where there is none.

    There is none either where `why_alone` has a reason: the first test then has the whole error that the gate
    allows.
    """
    then = STRATEGIES.find(config.quantization.strategy).then
    return STRATEGIES.find(then) if then and not why_alone(config, drawn) else None


def why_alone(config: ReleaseConfig, drawn: int) -> str:
    """Why no search may go on from the grid of a release, "" where one may.

    There must be operators to keep in FP32, which recurrent layouts do not have, and `drawn` validation
    samples must be enough for two tests.
    """
    if not any(map(can_be_simulated, config.quantization.candidates())):
        return "none of their operators can be kept in FP32 one by one"
    if drawn >= (needed := samples_for_two(config)):
        return ""
    margin = f"`gate.max_drop_pp: {config.gate.max_drop_pp:g}`"
    return f"{drawn:,} validation samples do not decide {margin} twice, which takes {needed:,}"


def planned(config: ReleaseConfig, drawn: int) -> Plan:
    """The first test of a release that draws so many validation samples."""
    gate = shared(config.gate) if goes_on_with(config, drawn) else config.gate
    if STRATEGIES.find(config.quantization.strategy).learns:
        unseen = round(drawn * (1 - config.validation.search_share))
        return Plan(samples=unseen, candidates=1, gate=gate)
    return Plan(samples=drawn, candidates=config.number_of_candidates, gate=gate)
