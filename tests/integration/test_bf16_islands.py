"""What is kept out of INT8 can run in BF16, beside layers in INT8, with Paddle 2.6.2.

It can in `offline`: Paddle's BF16 passes leave INT8 operators alone. In `qdq` the layers behind the BF16 one
are not quantized any more, so that this layout has no such switches.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.hardware.levels import REQUIRED_FLAGS
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.test_sensitivity import PLANTED, SIDE, planted, prepared, requested

pytestmark = pytest.mark.paddle


def convolutions(layout: str, folder: Path) -> dict[str, list[str]]:
    """The types that the convolutions of a mix run in, in order, by what opens it. Runs isolated."""
    import numpy as np

    from paddle_int8.tasks.engines.paddle.audit.kernels import parse_verbose
    from paddle_int8.tasks.engines.paddle.audit.verbose import recorded
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model

    model, data = prepared(planted, folder)
    kept = ((f"conv2d_{PLANTED}.tmp_0", "bf16"),)
    candidate = Candidate(algorithm="abs_max", layout=layout, overrides=kept)
    quantize_model(requested(model, data, candidate, folder / "quantized"))
    target, record = folder / "int8", LAYOUTS.find(layout)
    target.mkdir()
    record.convert(
        ConversionRequest(quantized=folder / "quantized", folder=target, config=ConversionConfig())
    )
    feed = {"image": np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}
    ways: dict[str, Any] = {
        "plain": record.switches,
        "candidate": record.switches_for(candidate),
        "forced": replace(record.switches, onednn_bf16=True),
    }
    found = {}
    for way, switches in ways.items():
        predictor = open_predictor(spec_of(target, switches, 1))
        predictor.run(feed)
        _, executed = parse_verbose(recorded(lambda run=predictor.run: run(feed), inferences=1))
        found[way] = [each.dtype for each in executed if each.kind == "convolution"]
    return found


def found_on(isa: IsaLevel, layout: str, folder: Path) -> dict[str, list[str]]:
    if not REQUIRED_FLAGS[isa] <= set(host_profile().flags):
        pytest.skip(f"this CPU has no {isa}")
    environment = {"ONEDNN_MAX_CPU_ISA": isa.upper()}
    return run_isolated(
        convolutions,
        layout,
        folder,
        step="bf16",
        log=folder / "log",
        timeout_s=300,
        environment=environment,
    )


BEFORE = ["int8"] * PLANTED


def test_kept_layer_runs_in_bf16_beside_int8(tmp_path: Path) -> None:
    found = found_on(IsaLevel.AVX512_CORE_BF16, "offline", tmp_path)
    assert found["plain"] == [*BEFORE, "fp32", "int8", "int8"]
    assert found["candidate"] == found["forced"] == [*BEFORE, "bf16", "int8", "int8"]


def test_kept_layer_runs_in_fp32_where_the_cpu_has_no_bf16(tmp_path: Path) -> None:
    found = found_on(IsaLevel.AVX512_CORE, "offline", tmp_path)
    assert found["candidate"] == found["plain"] == [*BEFORE, "fp32", "int8", "int8"]


def test_bf16_costs_qdq_what_is_behind_it(tmp_path: Path) -> None:
    found = found_on(IsaLevel.AVX512_CORE_BF16, "qdq", tmp_path)
    assert found["plain"] == found["candidate"] == [*BEFORE, "fp32", "int8", "int8"]
    assert found["forced"] == [*BEFORE, "bf16", "fp32", "fp32"]
