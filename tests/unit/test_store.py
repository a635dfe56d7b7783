"""An artifact in the store is either whole or absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import StorageError
from paddle_int8.tasks.store.folder import commit, folder_digest, scratch, sweep


def test_scratch_left_by_an_error_is_removed(tmp_path: Path) -> None:
    def fail_half_way() -> None:
        with scratch(tmp_path, "step") as folder:
            (folder / "half").write_text("written")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert not list(tmp_path.rglob("half"))


def test_commit_equal_content_is_stored_once(tmp_path: Path) -> None:
    targets = set()
    for _ in range(2):
        with scratch(tmp_path, "step") as folder:
            (folder / "file").write_text("same")
            targets.add(commit(folder, tmp_path, "models", folder_digest(folder)))
    assert len(targets) == 1
    assert (targets.pop() / "file").read_text() == "same"


def test_folder_digest_changes_with_content_and_with_name(tmp_path: Path) -> None:
    digests = set()
    for name, text in (("a", "1"), ("a", "2"), ("b", "1")):
        folder = tmp_path / f"{name}{text}"
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(folder_digest(folder))
    assert len(digests) == 3


HOLD = """
import sys
from pathlib import Path
from paddle_int8.tasks.store.folder import scratch
with scratch(Path(sys.argv[1]), "step") as folder:
    print(folder, flush=True)
    input()
"""


def test_sweep_removes_what_killed_processes_left_and_keeps_the_living(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().decode().strip())
        sweep(tmp_path)
        assert folder.is_dir()
        other.kill()
    sweep(tmp_path)
    assert not list(tmp_path.glob("scratch/*/"))


def test_sweep_from_another_count_of_processes_keeps_the_living(tmp_path: Path) -> None:
    """As in another container on the same volume, where the process's number is nobody's."""
    unshared = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-c"]
    if subprocess.run([*unshared, ""], capture_output=True).returncode:
        pytest.skip("unshare(1) may not make process namespaces here")
    with scratch(tmp_path, "step") as folder:
        swept = (
            "import sys; from pathlib import Path; from paddle_int8.tasks.store.folder import sweep; "
            "sweep(Path(sys.argv[1]))"
        )
        subprocess.run([*unshared, swept, str(tmp_path)], check=True)
        assert folder.is_dir()


def test_scratch_in_a_file_is_a_storage_error_naming_the_setting(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    with pytest.raises(StorageError, match="PADDLE_INT8_HOME"), scratch(tmp_path / "home", "step"):
        pass
