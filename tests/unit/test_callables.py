"""Functions named in a configuration: a person may name any, a server's flow run only allowed ones."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.config.callables import imported, named_in, require_all_allowed
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.data.metrics.scoring import resolve_metrics
from paddle_int8.tasks.data.sources.callable import CallableSource, call_source
from paddle_int8.tasks.training.entry import source_digest
from tests.unit.test_config import changed

CONFIGS = Path(__file__).parents[2] / "configs"
EVIL = "intruder.tools:run"
ATTACKS: dict[str, Callable[[], Any]] = {
    "source": lambda: call_source(CallableSource(kind="callable", function=EVIL)),
    "metric": lambda: resolve_metrics((EVIL,), labelled=False),
    "training": lambda: source_digest(TrainedModel(train=EVIL)),
}


@pytest.fixture
def intruder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package that leaves a mark when it is imported, and the file of the mark."""
    mark = tmp_path / "mark"
    package = tmp_path / "intruder"
    package.mkdir()
    for module in ("__init__", "tools"):
        leave = f"import pathlib\npathlib.Path({str(mark)!r}).touch()\ndef run(*_): return [], None\n"
        (package / f"{module}.py").write_text(leave, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "intruder"]:
        monkeypatch.delitem(sys.modules, name)
    return mark


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that a worker started."""
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "00000000-0000-0000-0000-000000000000")


@pytest.mark.parametrize("attack", ATTACKS)
def test_served_run_never_imports_what_is_not_allowed(attack: str, intruder: Path, served: None) -> None:
    with pytest.raises(ConfigError, match="does not allow"):
        ATTACKS[attack]()
    assert not intruder.exists()


@pytest.mark.parametrize("attack", ["source", "metric"])
def test_own_run_imports_what_its_owner_names(attack: str, intruder: Path) -> None:
    ATTACKS[attack]()
    assert intruder.exists()


@pytest.mark.parametrize("attack", ["source", "metric"])
def test_served_run_imports_a_package_that_the_settings_allow(
    attack: str, intruder: Path, served: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_ALLOWED_CALLABLES", "paddle_int8.tasks.training, intruder")
    ATTACKS[attack]()
    assert intruder.exists()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("os:system", id="standard library"),
        pytest.param("paddle_int8.zoo.digits:Path", id="what an allowed module imports"),
        pytest.param("paddle_int8.zoo.digits:normalise", id="what it imports from its neighbours"),
        pytest.param("paddle_int8.tasks.trainings:anything", id="name that only begins alike"),
        pytest.param("tasks:anything", id="parent of what is allowed"),
    ],
)
def test_served_run_cannot_reach_around_the_list(name: str, served: None) -> None:
    with pytest.raises(ConfigError, match="does not allow"):
        imported(name)


def test_served_run_may_name_the_built_in_functions(served: None) -> None:
    assert imported("paddle_int8.zoo.digits:digits").__name__ == "digits"


def test_served_run_with_an_empty_list_may_name_nothing(
    served: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PADDLE_INT8_ALLOWED_CALLABLES", "")
    with pytest.raises(ConfigError, match="no package"):
        imported("paddle_int8.zoo.digits:digits")


def test_every_function_of_a_configuration_is_found_wherever_it_is_named() -> None:
    source = {"kind": "callable", "function": "a.b:c", "arguments": {"not": "one:of_them"}}
    raw = changed("data", calibration=source, validation={**source, "function": "d:e"})
    raw |= {"model": {"train": "f:g"}, "validation": {"metrics": ["top1", "h:i"]}}
    assert set(named_in(ReleaseConfig.model_validate(raw))) == {"a.b:c", "d:e", "f:g", "h:i"}


@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda path: path.stem)
def test_served_run_may_name_what_the_shipped_configurations_name(path: Path, served: None) -> None:
    require_all_allowed(load_config(path))


def test_release_of_a_served_run_is_refused_before_its_first_step(served: None) -> None:
    raw = changed("") | {"model": {"train": EVIL}}
    with pytest.raises(ConfigError, match=EVIL):
        require_all_allowed(ReleaseConfig.model_validate(raw))
