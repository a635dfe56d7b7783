"""The instruction set to which oneDNN is limited on a stronger CPU."""

from __future__ import annotations

import dataclasses

import pytest

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.paddle.bundle import held_to
from paddle_int8.tasks.validation.task import served_isa
from tests.unit.evidence_factory import good_evidence

AMX, VNNI, AVX2 = IsaLevel.AVX512_CORE_AMX, IsaLevel.AVX512_CORE_VNNI, IsaLevel.AVX2


@pytest.mark.parametrize(
    ("host", "cap", "served"),
    [(AMX, None, AMX), (AMX, VNNI, VNNI), (AVX2, VNNI, AVX2)],
    ids=["no cap", "held", "weaker than the cap"],
)
def test_served_level(host: IsaLevel, cap: IsaLevel | None, served: IsaLevel) -> None:
    evidence = good_evidence()
    profile = dataclasses.replace(evidence.host, isa=host)
    assert served_isa(profile, ValidationConfig(max_isa=cap)) is served


def test_bundle_of_a_held_measurement_says_so() -> None:
    evidence = good_evidence(isas=(VNNI,))
    assert held_to(dataclasses.replace(evidence, host=dataclasses.replace(evidence.host, isa=AMX))) == VNNI
    assert held_to(dataclasses.replace(evidence, host=dataclasses.replace(evidence.host, isa=VNNI))) == ""
