"""Cache keys of steps hold the code that computes, and no other, and are equal on every host."""

from __future__ import annotations

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import prefect
import pytest

import paddle_int8.tasks.algorithms.task
import paddle_int8.tasks.validation.task
from paddle_int8.tasks import layouts
from paddle_int8.tasks.algorithms.task import calibrate, finetune, quantize
from paddle_int8.tasks.engines import ENGINES
from paddle_int8.tasks.layouts.code import chosen_conversion, chosen_engine
from paddle_int8.tasks.layouts.task import convert
from paddle_int8.tasks.published.task import RELEASED
from paddle_int8.tasks.validation.task import baseline_outputs, measure_baselines, validate
from tests.patience import allowed

PROJECT = Path(__file__).parents[2]
LAYOUTS = ("offline", "offline_7bit", "qdq", "recurrent", "recurrent_7bit")
QUANTIZE, CONVERT, VALIDATE, SENSITIVITY = (
    {f"{step} {layout}" for layout in LAYOUTS} for step in ("quantize", "convert", "validate", "sensitivity")
)
SINGLE = {
    *("train", "finetune", "calibrate", "measure_baselines", "baseline_outputs"),
    "time_operators",
}
CACHED = SINGLE | QUANTIZE | CONVERT | VALIDATE | SENSITIVITY
"""The cached steps, those that know their candidate's layout once for each."""
EDITS: dict[str, tuple[tuple[str, ...], set[str]]] = {
    "nothing": ((), set()),
    "a plot, a promotion, a table and a criterion": (
        ("tracking/plots.py", "promotion/judgement.py", "published/table.py", "gate/criteria.py"),
        set(),
    ),
    "a style": (("tracking/templates/report.css",), set()),
    "wiring": (("steps/step.py", "process/isolated.py", "algorithms/task.py", "layouts/code.py"), set()),
    "the bundle": (
        ("engines/bundle.py", "engines/paddle/bundle.py", "engines/paddle/templates/bundle_readme.md.jinja"),
        set(),
    ),
    "the training": (("engines/paddle/training/loop.py",), {"finetune"}),
    "a calibration": (
        ("engines/paddle/quantization/observation.py",),
        {"calibrate"} | QUANTIZE | SENSITIVITY,
    ),
    "another algorithm's rule": (("engines/paddle/quantization/kl.py",), set()),
    "the candidate's algorithm": (("algorithms/hist.py",), QUANTIZE | SENSITIVITY),
    "another algorithm": (("algorithms/mse.py", "algorithms/qat.py"), set()),
    "a metric": (("data/metrics/top1.py",), {"measure_baselines"} | VALIDATE),
    "another metric": (("data/metrics/top5.py",), set()),
    "a conversion": (
        ("engines/paddle/conversion/weight_layout.py",),
        {"convert offline", "convert offline_7bit"},
    ),
    "a layout": (("layouts/qdq.py",), {"convert qdq"}),
    "another layout": (("layouts/offline_7bit.py",), {"convert offline_7bit"}),
    "a measurement": (("validation/latency.py",), VALIDATE),
    "the timing": (("validation/stopwatch.py",), VALIDATE),
    "what else the host does": (("hardware/disturbance.py",), VALIDATE),
    "the audit": (("engines/paddle/audit/kernels.py",), VALIDATE | {"time_operators"}),
    "the baseline's outputs": (("validation/baseline.py",), {"baseline_outputs"} | VALIDATE),
    "the predictors' switches": (
        ("engines/paddle/switches.py",),
        CACHED - {"train", "finetune", "calibrate"} - SENSITIVITY,
    ),
}
"""What is edited, in which files, and the steps that are repeated for it."""
PRINT_KEYS = """
import json, sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import prefect
from paddle_int8.tasks.contracts import artifacts
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.steps.closure import code_digest

(root,) = map(Path, import_module("paddle_int8.tasks").__path__)
places = [path.parent.relative_to(root).parts for path in sorted(root.rglob("task.py"))]
modules = [import_module(".".join(("paddle_int8.tasks", *place, "task"))) for place in places]
steps = {name: step for module in modules for name, step in vars(module).items()
         if isinstance(step, prefect.Task) and step.cache_key_fn}

def inputs(layout):
    candidate = artifacts.Candidate(algorithm="hist", layout=layout)
    made = dict(candidate=candidate, folder=StoredPath("/f"), digest="d", seconds=1.0, log=Path("log"))
    quantized = artifacts.QuantizedArtifact(
        **made, quantized_ops={}, tensors_calibrated=1, peak_memory_bytes=1)
    deployable = artifacts.DeployableArtifact(**made, size_bytes=1, int8_ops={})
    return {"model": "digest", "samples": 8, "candidate": candidate, "quantized": quantized,
            "deployable": deployable, "config": {"metrics": ["top1"]}}

def named(name, step):
    if name not in ("quantize", "convert", "validate", "sensitivity"):
        return {name: {"model": "digest", "samples": 8, "config": {"metrics": ["top1"]}}}
    return {f"{name} {layout}": inputs(layout) for layout in json.loads(sys.argv[2])}

keys = {}
for edit, files in json.loads(sys.argv[1]).items():
    before = {name: (root / name).read_text() for name in files}
    for name, text in before.items():
        (root / name).write_text(text + "\\n# another line")
    code_digest.cache_clear()
    keys[edit] = {each: step.cache_key_fn(SimpleNamespace(task=step), given)
                  for name, step in steps.items() for each, given in named(name, step).items()}
    for name, text in before.items():
        (root / name).write_text(text)
print(json.dumps({"keys": keys, "root": str(root)}))
"""
Keys = dict[str, str]


def _keys(folder: Path) -> dict[str, Keys]:
    """The key of each cached step, for equal inputs, of the project in `folder`, after each of `EDITS`."""
    for name in ("paddle_int8", "tasks"):
        shutil.copytree(
            PROJECT / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    files = json.dumps({edit: names for edit, (names, _) in EDITS.items()})
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINT_KEYS, files, json.dumps(LAYOUTS)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PREFECT_HOME": str(folder / "prefect")},
        capture_output=True,
        text=True,
        timeout=allowed(240),
    )
    assert ended.returncode == 0, ended.stderr
    printed = json.loads(ended.stdout)
    assert printed["root"] == str(folder / "paddle_int8" / "tasks")
    keys: dict[str, Keys] = printed["keys"]
    return keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Keys]:
    return _keys(tmp_path_factory.mktemp("one"))


def test_key_of_a_project_in_another_folder_is_the_same_and_never_another_steps(
    keys: dict[str, Keys], tmp_path: Path
) -> None:
    assert keys == _keys(tmp_path / "elsewhere" / "two")
    plain = keys["nothing"]
    assert plain.keys() == CACHED
    assert len(set(plain.values())) == len(CACHED)


@pytest.mark.parametrize("edit", EDITS)
def test_edit_repeats_the_steps_that_compute_with_it_and_no_other(keys: dict[str, Keys], edit: str) -> None:
    _, repeated = EDITS[edit]
    assert {name for name in CACHED if keys[edit][name] != keys["nothing"][name]} == repeated


def test_record_of_the_published_table_counts_the_code_of_every_step_of_a_release() -> None:
    steps: tuple[Any, ...] = (
        calibrate,
        finetune,
        quantize,
        convert,
        measure_baselines,
        baseline_outputs,
        validate,
    )
    counted = {function.__module__ for function in RELEASED}
    assert all(counted >= set(step.cache_key_fn.args[0]) for step in steps)


def test_layouts_are_those_of_the_registry() -> None:
    assert layouts.LAYOUTS.names() == LAYOUTS


@pytest.mark.parametrize("layout", LAYOUTS)
def test_key_holds_the_code_of_the_candidates_layout_and_of_its_engine(layout: str) -> None:
    record = layouts.LAYOUTS.find(layout)
    engine = ENGINES.find(record.engine)
    assert chosen_conversion(layout).modules == {record.convert.__module__}
    assert chosen_engine(layout).modules == {engine.open.__module__}
    assert chosen_engine(layout).packages == chosen_conversion(layout).packages == engine.packages


@pytest.mark.parametrize(
    "package",
    [
        paddle_int8.tasks.algorithms.task,
        paddle_int8.tasks.validation.task,
    ],
)
def test_every_function_that_runs_isolated_counts_in_the_key_of_a_step(package: ModuleType) -> None:
    counted = {
        module
        for step in vars(package).values()
        if isinstance(step, prefect.Task) and step.cache_key_fn
        for module in step.cache_key_fn.args[0]
    }
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(package))) if isinstance(node, ast.Call)]
    isolated = [each for each in calls if ast.unparse(each.func).endswith("run_isolated")]
    named = {name.id for each in isolated for name in ast.walk(each.args[0]) if isinstance(name, ast.Name)}
    functions = [vars(package)[name] for name in named & vars(package).keys()]
    run = {each.__module__ for each in functions if inspect.isfunction(each)}
    assert run
    assert run <= counted
