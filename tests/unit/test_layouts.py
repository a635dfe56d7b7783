"""The switches of predictors that run in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.vocabulary import Layout
from paddle_int8.tasks.engines.paddle.predictor import spec_of
from paddle_int8.tasks.engines.paddle.switches import (
    CACHED_LENGTHS,
    CACHED_SHAPES,
    SWITCHES,
    Engine,
    engine_of,
)
from paddle_int8.tasks.validation.measure import MeasureRequest


@pytest.mark.parametrize("layout", Layout)
def test_baseline_and_references_keep_as_many_kernels_as_the_candidate_beside_them(layout: Layout) -> None:
    stand_in: Any = type("Artifact", (), {"folder": Path("x"), "candidate": type("", (), {"layout": layout})})
    request = MeasureRequest(
        **dict.fromkeys(("validation", "isa", "baseline_load"), cast(Any, None)),
        model=stand_in,
        deployable=stand_in,
        config=ValidationConfig(),
        confidence=0.95,
        emulated=False,
        folder=Path("x"),
        log=Path("x"),
        baseline_outputs=Path("x"),
    )
    kept = SWITCHES[engine_of(layout)].onednn_cache_capacity
    assert kept == (CACHED_LENGTHS if layout is Layout.RECURRENT else CACHED_SHAPES)
    for engine in (Engine.BASELINE, Engine.BF16):
        assert request.baseline_spec(engine).switches.onednn_cache_capacity == kept


def test_overridden_switches_leave_the_others() -> None:
    spec = spec_of(Path("x"), Engine.QDQ, 1, enable_int8=False)
    assert not spec.switches.onednn_int8
    assert spec.switches.deleted_passes == SWITCHES[Engine.QDQ].deleted_passes
