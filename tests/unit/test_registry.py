"""Records are found by name, this project's and those of installed packages, if they may be loaded."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.layouts.code import chosen_conversion, chosen_engine, chosen_form
from paddle_int8.tasks.strategies import STRATEGIES
from tests.installed_package import install

MODULE = """
from paddle_int8.tasks.strategies.strategy import Strategy

STRATEGY = Strategy(name="fewest", description="Nothing at all.", start=lambda config, bench: None)
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
    assert STRATEGIES.names() == ("grid", "auto", "mixed")
    assert STRATEGIES.find("grid").name == "grid"


def test_registry_finds_the_record_of_an_installed_package(installed: None) -> None:
    assert STRATEGIES.names() == ("grid", "auto", "mixed", "fewest", "misnamed")
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
    assert schema["properties"]["strategy"]["enum"] == ["grid", "auto", "mixed", "fewest", "misnamed"]


def test_registry_finds_a_record_in_a_folder_of_its_own_and_loads_no_wiring() -> None:
    assert ENGINES.names() == ("paddle",)
    assert ENGINES.module("paddle") == "paddle_int8.tasks.engines.paddle.engine"
    listed = "from paddle_int8.tasks.layouts import LAYOUTS; print(*LAYOUTS.names()); import sys; "
    loaded = "print(*{'prefect', 'paddle', 'paddleslim'} & sys.modules.keys())"
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", listed + loaded], check=True, capture_output=True, text=True
    )
    assert printed.stdout.splitlines() == ["offline offline_7bit qdq recurrent recurrent_7bit", ""]


def test_layout_that_nobody_has_is_an_error_in_every_step() -> None:
    for step in (chosen_form, chosen_conversion, chosen_engine):
        with pytest.raises(ConfigError, match="no layout named 'recurent'") as raised:
            step("recurent")
        assert raised.value.remedy == "write recurrent"
