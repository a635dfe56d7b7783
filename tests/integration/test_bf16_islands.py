"""What is kept out of INT8 can run in BF16, beside layers in INT8, with Paddle 2.6.2.

It can in `offline`: Paddle's BF16 passes leave INT8 operators alone. In `qdq` the layers behind the BF16 one
are not quantized any more, so that this layout has no such switches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.config.quantization import ConversionConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import BF16, Candidate
from paddle_int8.tasks.contracts.vocabulary import IsaLevel
from paddle_int8.tasks.engines.paddle.switches import BASELINE, Switches
from paddle_int8.tasks.hardware.levels import REQUIRED_FLAGS
from paddle_int8.tasks.hardware.profile import host_profile
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.layouts.layout import ConversionRequest
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_models import sqnr_db
from tests.integration.test_sensitivity import PLANTED, SIDE, encoder, planted, prepared, requested

pytestmark = pytest.mark.paddle

PICTURE = {"image": np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}


def mix(make: Callable[[], Any], kept: str, layout: str, folder: Path) -> Switches:
    """Writes a network's mix into `folder`/int8, and returns how it is opened. Runs isolated."""
    from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model

    model, data = prepared(make, folder)
    candidate = Candidate(algorithm="abs_max", layout=layout, overrides=((kept, BF16),))
    quantize_model(requested(model, data, candidate, folder / "quantized"))
    target, record = folder / "int8", LAYOUTS.find(layout)
    target.mkdir()
    record.convert(
        ConversionRequest(quantized=folder / "quantized", folder=target, config=ConversionConfig())
    )
    return record.switches_for(candidate)


def convolutions(layout: str, folder: Path) -> dict[str, list[str]]:
    """The types that the convolutions of a mix run in, in order, by what opens it. Runs isolated."""
    from paddle_int8.tasks.engines.paddle.audit.kernels import parse_verbose
    from paddle_int8.tasks.engines.paddle.audit.verbose import recorded
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    own = mix(planted, f"conv2d_{PLANTED}.tmp_0", layout, folder)
    plain = LAYOUTS.find(layout).switches
    ways = {"plain": plain, "candidate": own, "forced": replace(plain, onednn_bf16=True)}
    found = {}
    for way, switches in ways.items():
        predictor = open_predictor(spec_of(folder / "int8", switches, 1))
        predictor.run(PICTURE)
        _, executed = parse_verbose(recorded(lambda run=predictor.run: run(PICTURE), inferences=1))
        found[way] = [each.dtype for each in executed if each.kind == "convolution"]
    return found


def answer(folder: Path, switches: Switches) -> Array:
    """What the first predictor of a process answers. Runs isolated."""
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of

    return open_predictor(spec_of(folder, switches, 1)).run(PICTURE)[0]


def require(isa: IsaLevel) -> None:
    """Skips the test where oneDNN cannot use this instruction set."""
    if not REQUIRED_FLAGS[isa] <= set(host_profile().flags):
        pytest.skip(f"this CPU has no {isa}")


def found_on(isa: IsaLevel, layout: str, folder: Path) -> dict[str, list[str]]:
    require(isa)
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


def test_mix_answers_alike_in_a_process_that_opens_no_other_model(tmp_path: Path) -> None:
    """The predictor's BF16 pass counts the tensors that it adds from 0, as the conversion did."""
    require(IsaLevel.AVX512_CORE_BF16)
    options = {"step": "bf16", "log": tmp_path / "log", "timeout_s": 300}
    own = run_isolated(mix, encoder, "conv2d_0.tmp_0", "offline", tmp_path, **options)
    found, expected = (
        run_isolated(answer, tmp_path / name, switches, **options)
        for name, switches in (("int8", own), ("fp32", BASELINE))
    )
    assert sqnr_db(expected, found) > 30


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
