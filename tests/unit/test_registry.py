"""Records by name: ours and those of installed packages, and who may load them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from paddle_int8.tasks.config.messages import mistakes
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.strategies import STRATEGIES
from tests.installed_package import install

MODULE = """
from paddle_int8.tasks.strategies.strategy import Strategy

STRATEGY = Strategy(name="fewest", description="Nothing at all.", start=lambda config: None)
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package with one strategy `fewest`, and one entry point whose record bears another name."""
    (tmp_path / "someones_strategy.py").write_text(MODULE, encoding="utf-8")
    place = "someones_strategy:STRATEGY"
    install(tmp_path, "someones-strategy", {"paddle_int8.strategies": {"fewest": place, "misnamed": place}})
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("someones_strategy", None)


def test_registry_lists_the_records_of_its_folder() -> None:
    assert STRATEGIES.names() == ("grid",)
    assert STRATEGIES.find("grid").name == "grid"


def test_registry_finds_the_record_of_an_installed_package(installed: None) -> None:
    assert STRATEGIES.names() == ("grid", "fewest", "misnamed")
    assert STRATEGIES.find("fewest").description == "Nothing at all."


def test_registry_says_which_name_was_meant() -> None:
    with pytest.raises(ConfigError, match="no strategy named 'Gird'") as raised:
        STRATEGIES.find("Gird")
    assert raised.value.remedy == "write grid"


def test_registry_refuses_a_record_under_another_name(installed: None) -> None:
    with pytest.raises(ConfigError, match="behind the entry point 'misnamed'"):
        STRATEGIES.find("misnamed")


def test_registry_of_a_server_loads_allowed_packages_only(
    installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PREFECT__FLOW_RUN_ID", "started-by-a-server")
    with pytest.raises(ConfigError, match="does not allow: someones_strategy:STRATEGY"):
        STRATEGIES.find("fewest")
    assert "someones_strategy" not in sys.modules
    monkeypatch.setenv("PADDLE_INT8_ALLOWED_CALLABLES", "someones_strategy")
    assert STRATEGIES.find("fewest").name == "fewest"


def test_configuration_takes_and_offers_the_names_of_the_registry(installed: None) -> None:
    assert QuantizationConfig(strategy="fewest").strategy == "fewest"
    with pytest.raises(ValidationError, match=r"no strategy named 'gird'.*write grid"):
        QuantizationConfig(strategy="gird")
    schema = TypeAdapter(QuantizationConfig).json_schema()
    assert schema["properties"]["strategy"]["enum"] == ["grid", "fewest", "misnamed"]


@pytest.mark.parametrize(
    ("strategy", "found", "required"),
    [
        pytest.param(
            "Gird", "`quantization.strategy` is Gird, did you mean `grid`?", "one of grid", id="unknown"
        ),
        pytest.param("misnamed", "behind the entry point 'misnamed'", "rename one of the two", id="unusable"),
    ],
)
def test_message_of_a_configuration_says_which_name_was_meant_or_what_is_wrong_with_its_record(
    installed: None, strategy: str, found: str, required: str
) -> None:
    raw = {"name": "x", "quantization": {"strategy": strategy}}
    with pytest.raises(ValidationError) as raised:
        ReleaseConfig.model_validate(raw)
    said = [each for each in mistakes(raised.value, ReleaseConfig, {}) if "strategy" in each.key]
    assert found in said[0].found
    assert required in said[0].required


def test_module_of_a_record_is_known_without_loading_another_package(installed: None) -> None:
    assert STRATEGIES.module("grid") == "paddle_int8.tasks.strategies.grid"
    assert STRATEGIES.module("fewest") == "someones_strategy"
    assert "someones_strategy" not in sys.modules


def test_records_are_loaded_without_paddle_and_without_prefect() -> None:
    program = (
        "import sys; from paddle_int8.tasks.algorithms import ALGORITHMS; list(ALGORITHMS); "
        "print(sorted({'paddle', 'paddleslim', 'prefect'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
