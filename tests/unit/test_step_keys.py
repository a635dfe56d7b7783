"""Cache keys of steps: equal on every host for equal content, and never those of another step."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.patience import allowed

TASKS = Path(__file__).parents[2] / "tasks"
CACHED = {"train", "finetune", "quantize", "convert", "measure_baselines", "validate"}
PRINT_KEYS = """
import json
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import prefect

(root,) = map(Path, import_module("tasks").__path__)
keys = {}
for path in sorted(root.glob("*/task.py")):
    for name, step in vars(import_module(f"tasks.{path.parent.name}.task")).items():
        if isinstance(step, prefect.Task) and step.cache_key_fn:
            keys[name] = step.cache_key_fn(SimpleNamespace(task=step), {"model": "digest", "samples": 8})
print(json.dumps({"keys": keys, "root": str(root)}))
"""


def _keys(folder: Path) -> dict[str, str]:
    """The key of each cached step, for equal inputs, of the project when it lies in `folder`."""
    shutil.copytree(TASKS, folder / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PRINT_KEYS],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "PREFECT_HOME": str(folder / "prefect")},
        capture_output=True,
        text=True,
        timeout=allowed(120),
    )
    assert ended.returncode == 0, ended.stderr
    printed = json.loads(ended.stdout)
    assert printed["root"] == str(folder / "tasks")
    keys: dict[str, str] = printed["keys"]
    return keys


def test_key_of_a_project_in_another_folder_is_the_same_and_never_another_steps(tmp_path: Path) -> None:
    keys = _keys(tmp_path / "one")
    assert keys == _keys(tmp_path / "elsewhere" / "two")
    assert keys.keys() == CACHED
    assert len(set(keys.values())) == len(CACHED)
