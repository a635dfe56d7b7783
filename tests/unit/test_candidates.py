"""The search for candidates ends with something to tell."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from paddle_int8.flows.releasing.candidates import explore
from paddle_int8.flows.releasing.inputs import Inputs
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.strategies.grid import GridSearch
from tests.unit.test_config import changed


def test_strategy_that_asks_for_no_candidate_is_named_in_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GridSearch, "next_candidates", lambda _self, _tried: ())
    absent: dict[str, Any] = dict.fromkeys(field.name for field in fields(Inputs))
    config = ReleaseConfig.model_validate(changed("quantization", strategy="grid"))
    inputs = Inputs(**absent | {"config": config, "given": (), "validation": SimpleNamespace(samples=400)})
    with pytest.raises(ConfigError, match="strategy 'grid', which asked for no candidate"):
        explore(inputs)
