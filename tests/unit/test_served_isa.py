"""Instruction sets: what oneDNN is limited to on a stronger CPU, and one that was not validated."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.paddle import serving
from paddle_int8.tasks.engines.paddle.bundle import held_to
from paddle_int8.tasks.engines.paddle.serving import ISA_NAMES, other_isa, require_validated_isa
from paddle_int8.tasks.hardware.onednn import ISA_CODES
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


USED = {name: code for code, name in ISA_NAMES.items()}


def test_shipped_names_are_those_of_the_project() -> None:
    assert {code: level.value for code, level in ISA_CODES.items()} == ISA_NAMES


@pytest.mark.parametrize("validated", [[AMX], [AVX2, AMX]], ids=["alone", "among others"])
def test_validated_instruction_set_is_not_spoken_of(validated: list[str]) -> None:
    assert other_isa(USED[AMX], validated) == ""


@pytest.mark.parametrize(
    ("used", "validated", "limit"),
    [
        (USED[AMX], [AVX2, VNNI], "set ONEDNN_MAX_CPU_ISA=AVX512_CORE_VNNI"),
        (USED[AVX2], [AMX, VNNI], ""),
        (0xE7, ["avx2_vnni"], ""),
        (0x123, [AVX2], ""),
        (0, [AMX], ""),
    ],
    ids=["stronger", "weaker", "of another kind", "unknown", "not told"],
)
def test_other_instruction_set_is_named_with_the_limit_that_helps(
    used: int, validated: list[str], limit: str
) -> None:
    said = other_isa(used, validated)
    assert f"oneDNN uses {ISA_NAMES.get(used, hex(used) if used else 'an instruction set')}" in said
    assert f"validated on {', '.join(validated)}" in said
    assert limit in said
    assert ("ONEDNN_MAX_CPU_ISA" in said) == bool(limit)


@pytest.mark.parametrize("strict", [True, False, None], ids=["strict", "lenient", "an early bundle"])
def test_only_a_strict_bundle_refuses_another_instruction_set(
    strict: bool | None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "onednn_isa", lambda: USED[AVX2])
    deployment: dict[str, Any] = {"validated_on": [{"isa": AMX.value}]}
    if strict is not None:
        deployment["strict"] = strict
    with caplog.at_level(logging.WARNING):
        if strict:
            with pytest.raises(RuntimeError, match=r"strict .*oneDNN uses avx2; .* on avx512_core_amx"):
                require_validated_isa(deployment)
        else:
            require_validated_isa(deployment)
    assert len(caplog.records) == (0 if strict else 1)
