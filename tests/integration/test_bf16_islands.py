"""Whether a layer that is kept out of INT8 can run in BF16, beside layers in INT8, with Paddle 2.6.2.

It can in `offline`: Paddle's BF16 passes leave INT8 operators alone. In `qdq` the layers behind the BF16 one
are not quantized any more.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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


def convolutions(layout: str, folder: Path) -> dict[bool, list[str]]:
    """The types that the convolutions of a mix run in, in order, without and with BF16. Runs isolated."""
    import numpy as np

    from paddle_int8.tasks.engines.paddle.audit.kernels import parse_verbose
    from paddle_int8.tasks.engines.paddle.audit.verbose import recorded
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model

    model, data = prepared(planted, folder)
    kept = ((f"conv2d_{PLANTED}.tmp_0", "fp32"),)
    candidate = Candidate(algorithm="abs_max", layout=layout, overrides=kept)
    quantize_model(requested(model, data, candidate, folder / "quantized"))
    target, record = folder / "int8", LAYOUTS.find(layout)
    target.mkdir()
    record.convert(
        ConversionRequest(quantized=folder / "quantized", folder=target, config=ConversionConfig())
    )
    feed = {"image": np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE)).astype(np.float32)}
    found = {}
    for bf16 in (False, True):
        predictor = open_predictor(spec_of(target, replace(record.switches, onednn_bf16=bf16), 1))
        predictor.run(feed)
        _, executed = parse_verbose(recorded(lambda run=predictor.run: run(feed), inferences=1))
        found[bf16] = [each.dtype for each in executed if each.kind == "convolution"]
    return found


@pytest.mark.parametrize(
    ("layout", "behind"), [("offline", ["int8", "int8"]), ("qdq", ["fp32", "fp32"])], ids=["offline", "qdq"]
)
def test_kept_layer_runs_in_bf16_beside_int8_and_costs_what_is_behind_it_in_qdq(
    layout: str, behind: list[str], tmp_path: Path
) -> None:
    if not REQUIRED_FLAGS[IsaLevel.AVX512_CORE_BF16] <= set(host_profile().flags):
        pytest.skip("this CPU has no BF16 (avx512_bf16)")
    found = run_isolated(convolutions, layout, tmp_path, step="bf16", log=tmp_path / "log", timeout_s=300)
    before = ["int8"] * PLANTED
    assert found[False] == [*before, "fp32", "int8", "int8"]
    assert found[True] == [*before, "bf16", *behind]
