"""A layout of somebody else: this file is all there is of it, and the small model is released with it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.layouts import LAYOUTS, offline
from paddle_int8.tasks.layouts.layout import ConversionRequest
from tests.cpu import SATURATES
from tests.e2e.ground import Ground
from tests.installed_package import install

pytestmark = pytest.mark.paddle

NAME = "offline_6bit"


def convert(request: ConversionRequest) -> ConvertedModel:
    return offline.convert_with(request, layout=NAME, bits=6)


LAYOUT = replace(offline.LAYOUT, name=NAME, description="Weights of 6 bits.", convert=convert)


@pytest.fixture
def ground(warm_ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ground:
    install(tmp_path / "site", "drill", {"paddle_int8.layouts": {NAME: f"{__name__}:LAYOUT"}})
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return warm_ground


def test_layout_of_another_package_is_released_beside_ours(ground: Ground) -> None:
    from paddle_int8.flows.release import release

    grid = {"algorithms": ["abs_max"], "layouts": ["offline", NAME]}
    path = ground.inputs.approvable(ground.folder / "release.yaml", ground.name, quantization=grid)
    released = release(load_config(path))
    assert released.outcome is Outcome.APPROVED, [verdict.results for verdict in released.verdicts]
    ours, theirs = released.evidence
    assert [each.candidate.name for each in (ours, theirs)] == ["abs_max-offline", f"abs_max-{NAME}"]
    assert theirs.digest != ours.digest
    assert theirs.per_isa[0].sqnr_db < ours.per_isa[0].sqnr_db or SATURATES
    assert theirs.per_isa[0].audit.int8_primitives == ours.per_isa[0].audit.int8_primitives > 0


def test_layout_of_another_package_is_registered_under_its_name(ground: Ground) -> None:
    from paddle_int8.flows.release import release

    grid = {"algorithms": ["abs_max"], "layouts": [NAME]}
    path = ground.inputs.approvable(ground.folder / "release.yaml", ground.name, quantization=grid)
    released = release(load_config(path))
    assert released.registered is not None
    assert released.bundle is not None
    deployment = json.loads((released.bundle.folder / "deployment.json").read_text(encoding="utf-8"))
    assert deployment["layout"] == NAME


def test_layout_of_a_package_that_is_not_installed_is_refused() -> None:
    with pytest.raises(ConfigError, match=f"no layout named '{NAME}'"):
        LAYOUTS.find(NAME)
