"""Which tests of its candidates a release plans, known from its configuration alone."""

from __future__ import annotations

from dataclasses import dataclass

from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.gate.looks import shared
from paddle_int8.tasks.strategies import STRATEGIES


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`candidates` are tested together on `samples` validation samples, by `gate`.

    samples: a search that learns leaves only a part of the drawn samples to its test, of about this size.
    """

    samples: int
    candidates: int
    gate: GateConfig


def planned(config: ReleaseConfig, drawn: int) -> Plan:
    """The first test of a release that draws so many validation samples."""
    strategy = STRATEGIES.find(config.quantization.strategy)
    gate = shared(config.gate) if strategy.then else config.gate
    if strategy.learns:
        unseen = round(drawn * (1 - config.validation.search_share))
        return Plan(samples=unseen, candidates=1, gate=gate)
    return Plan(samples=drawn, candidates=config.number_of_candidates, gate=gate)
