"""The code keeps what the documents promise."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from docs.generate.defects import groups
from docs.generate.documents import release_shape
from docs.generate.environment import environment
from docs.generate.keys import sections
from docs.generate.pages import filled, named_parts, pages
from paddle_int8.flows.cli.main import app
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.gate import GateConfig
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.tracking.schema import summary_json
from paddle_int8.tasks.validation.statistics import fewest_samples
from tests.release_factory import build_release

ROOT = Path(__file__).parents[2]
WITHOUT_DEFECT = {"remove_identity_pooling"}
"""Rewrites that only save time: nothing was wrong without them."""


CONFIGURATION = ROOT / "docs" / "reference" / "configuration.md"
SECTIONS = {name: schema for name, schema in sections().items() if schema.get("type") == "object"}
PROSE = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
FILE_OF_OURS = re.compile(r"`((?:benchmarks|configs|deploy|docs|flows|tasks|tests|zoo)/[\w./-]+)`")
COMMANDS: dict[str, Any] = dict(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [*pages()], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_generated_parts_are_as_the_code_has_them_now(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == filled(text), "run `make docs`, and commit what it changes"


@pytest.mark.parametrize("section", SECTIONS)
def test_configuration_page_has_a_table_of_the_section(section: str) -> None:
    assert ("keys", section) in named_parts(CONFIGURATION.read_text(encoding="utf-8"))


@pytest.mark.parametrize("section", SECTIONS)
def test_section_describes_each_of_its_keys(section: str) -> None:
    fields = SECTIONS[section]["properties"]
    assert [name for name, field in fields.items() if not field.get("description")] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_command_describes_itself_and_each_of_its_arguments(command: str) -> None:
    assert COMMANDS[command].help
    assert [each.name for each in COMMANDS[command].params if not each.help] == []


def test_setting_describes_each_variable_of_the_environment() -> None:
    assert [cells for cells in environment("").splitlines() if cells.endswith("| |")][1:] == []


def test_json_page_has_the_keys_of_a_printed_release() -> None:
    document = summary_json(build_release(run_id="r1"))
    top, shapes = release_shape()
    evidence, latency, verdict = (
        shapes[name] for name in ("CandidateEvidence", "LatencyEvidence", "Verdict")
    )
    candidate = document["candidates"][0]
    assert document.keys() == top["properties"].keys()
    assert candidate.keys() == evidence["properties"].keys()
    assert candidate["verdict"].keys() == verdict["properties"].keys()
    assert candidate["per_isa"][0]["latency"].keys() == latency["properties"].keys()


def test_defects_page_has_a_section_for_each_rewrite() -> None:
    repairs = (ROOT / "tasks/engines/paddle/rewrites/repairs.py").read_text(encoding="utf-8")
    applied = set(re.findall(r'Rewrite\("(\w+)"', repairs))
    told = {code for group in groups() for entry in group["entries"] for code in entry["code"]}
    assert applied
    assert applied - told - WITHOUT_DEFECT == set()


@pytest.mark.parametrize("page", PROSE, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_page_names_only_files_that_exist(page: Path) -> None:
    named = FILE_OF_OURS.findall(page.read_text(encoding="utf-8"))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_readme_number_of_pictures_is_that_of_the_default_margin() -> None:
    gate, candidates = GateConfig(), len(QuantizationConfig().candidates())
    fewest = fewest_samples(gate.max_drop_pp, confidence=1 - (1 - gate.confidence) / candidates)
    assert f"a margin needs: at least {fewest} for the default" in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )


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


def test_readme_tells_an_own_model_step_by_step() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Your own model")[2]
    steps = (
        *("make install", "paddle-int8 init", "paddle.jit.save(", "Paddle 2.x"),
        *(
            "Split the pictures",
            "A label is a position in the model's output",
            "How many pictures a margin needs",
        ),
    )
    assert [step for step in steps if step not in readme] == []
    bullets = ("make install", "paddle.jit.save(", "Split the pictures", "A label is", "How many pictures")
    assert sorted(bullets, key=readme.index) == list(bullets)
