"""Releases on unusual hosts: with a proxy in the environment, and with folders of any name."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.answering import answering
from tests.e2e.command_line import new_home, release_command, variables
from tests.e2e.records import embedded_flow_states, read_run
from tests.e2e.small_inputs import SmallInputs

pytestmark = pytest.mark.paddle

ODD = "a#b 100%25 & 日本"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def _environment(home: Path, proxy: str) -> dict[str, str]:
    plain = {name: value for name, value in new_home(home).items() if name.lower() not in PROXIES}
    return plain | dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), proxy)


def test_release_in_oddly_named_folders_behind_a_proxy_asks_the_proxy_nothing(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    odd = replace(inputs, folder=tmp_path / f"{ODD}?")
    shutil.copytree(inputs.folder, odd.folder)
    home = tmp_path / "homes" / ODD
    with answering(403) as (proxy, asked):
        ended = subprocess.run(
            release_command(odd.approvable(odd.folder / "release.yaml", "odd")),
            env=_environment(home, proxy),
            capture_output=True,
            text=True,
            check=False,
        )
    assert (ended.returncode, asked) == (0, []), ended.stdout + ended.stderr
    assert embedded_flow_states(home) == ["COMPLETED"]
    assert read_run(f"sqlite:///{home / 'mlflow.db'}", "odd").info.status == "FINISHED"
    assert [path.name for path in home.parent.iterdir()] == [ODD]


def test_home_that_a_databases_url_cannot_name_is_refused_before_anything_is_made(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    home = tmp_path / "homes" / "a?b"
    command = release_command(inputs.config(tmp_path / "release.yaml", "odd"))
    ended = subprocess.run(command, env=new_home(home), capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "ConfigError" in ended.stderr
    assert "PADDLE_INT8_HOME" in ended.stderr
    assert not home.parent.exists()


@pytest.fixture
def private_mounts() -> None:
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("mounts of its own need root and the program unshare")


@pytest.mark.usefixtures("private_mounts")
def test_release_with_a_read_only_home_folder_of_the_user_and_full_shared_memory_is_approved(
    inputs: SmallInputs, tmp_path: Path
) -> None:
    user = tmp_path / "user"
    user.mkdir()
    script = "mount --bind {0} {0} && mount -o remount,ro,bind {0} && mount -t tmpfs -o size=4k none /dev/shm"
    script += "; head -c 8192 /dev/zero > /dev/shm/full 2> /dev/null; touch {0}/probe 2> /dev/null && exit 99"
    script = script.format(user) + '; exec "$0" "$@"'
    command = release_command(inputs.approvable(tmp_path / "release.yaml", "read-only"))
    ended = subprocess.run(
        ["unshare", "--mount", "/bin/sh", "-c", script, *command],
        env=variables(tmp_path / "home", HOME=str(user)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
