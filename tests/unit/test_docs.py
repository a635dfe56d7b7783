"""The code keeps what the documents promise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

import paddle_int8.tasks.config.retraining  # noqa: F401 - its sections count too
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.section import Section

ROOT = Path(__file__).parents[2]


def _below(section: type[Section]) -> Iterator[type[Section]]:
    for each in section.__subclasses__():
        yield each
        yield from _below(each)


SECTIONS = [each for each in _below(Section) if each.__module__.startswith("paddle_int8.tasks.config.")]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda kind: kind.__name__)
def test_configuration_page_every_key_of_the_section_is_described(section: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    missing = [name for name in section.model_fields if f"`{name}" not in page and f"{name}`" not in page]
    assert missing == []


@pytest.mark.parametrize(
    "section", sorted(set(SECTIONS) - {ReleaseConfig}, key=str), ids=lambda kind: kind.__name__
)
def test_configuration_page_describes_keys_as_the_run_form_does(section: type[BaseModel]) -> None:
    page = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    rows = {name: field for name, field in section.model_fields.items() if f"| `{name}` |" in page}
    assert [name for name, field in rows.items() if f"| {field.description} |" not in page] == []


def test_readme_example_is_a_valid_release() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert examples
    for example in examples:
        ReleaseConfig.model_validate(yaml.safe_load(example))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.name)
def test_shipped_config_loads(path: Path) -> None:
    assert load_config(path).name


@pytest.mark.parametrize(
    "path", sorted((ROOT / "configs" / "qat").glob("*.yaml")), ids=lambda path: path.name
)
def test_qat_is_of_the_models_and_samples_of_the_published_accuracy(path: Path) -> None:
    trained = load_config(path)
    published = load_config(ROOT / "configs" / "published" / f"{path.stem}_accuracy.yaml")
    assert (trained.model, trained.data, trained.gate) == (published.model, published.data, published.gate)


def test_makefile_every_command_of_the_readme_is_a_target() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z]+)", readme)) <= targets
