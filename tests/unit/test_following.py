"""Which releases follow a registered model, and when the reconciliation tries again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from paddle_int8.flows.release import release  # noqa: F401 - Prefect's own import warns, once
from paddle_int8.flows.server.following.attempts import Attempt, next_action
from paddle_int8.flows.server.following.receiver import receiver
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.model import RegisteredModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.following.followers import followed_in, followers, pinned
from paddle_int8.tasks.tracking.source import SourceVersion, model_and_alias


def write(folder: Path, name: str, model: dict[str, Any]) -> Path:
    source = {"kind": "npz", "path": "data.npz"}
    body = {"name": name, "model": model, "data": {"calibration": source, "validation": source}}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


@pytest.mark.parametrize(
    ("registered", "name", "alias"),
    [
        ("models:/classifier@champion", "classifier", "champion"),
        ("models:/classifier/12", "classifier", None),
        ("models:/team.image model-2@next-one", "team.image model-2", "next-one"),
    ],
)
def test_registered_model_names_a_model_and_an_alias_or_a_version(
    registered: str, name: str, alias: str | None
) -> None:
    assert model_and_alias(RegisteredModel(registered=registered).registered) == (name, alias)


@pytest.mark.parametrize(
    "registered",
    [
        "classifier",
        "models:/classifier",
        "models:/classifier/0",
        "models:/classifier/latest",
        "models:/../secret@champion",
        "models:/a/b@champion",
        "models:/it's@champion",
        "runs:/0123/model",
        "s3://bucket/model",
    ],
)
def test_registered_model_of_another_form_is_refused(tmp_path: Path, registered: str) -> None:
    with pytest.raises(ConfigError, match="registered"):
        load_config(write(tmp_path, "release", {"registered": registered}))


@pytest.mark.parametrize("folder", ["..", "../up", "a/../b", "/etc", "a//b", "a/", ".hidden", "a\\b"])
def test_registered_folder_that_leads_out_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.folder"):
        load_config(write(tmp_path, "release", {"registered": "models:/a@b", "folder": folder}))


@pytest.fixture
def configs(tmp_path: Path) -> Path:
    write(tmp_path, "one", {"registered": "models:/classifier@champion"})
    write(tmp_path, "two", {"registered": "models:/classifier@champion", "folder": "fp32"})
    write(tmp_path, "staged", {"registered": "models:/classifier@staging"})
    write(tmp_path, "fixed", {"registered": "models:/classifier/3"})
    write(tmp_path, "files", {"path": "export"})
    (tmp_path / "broken.yaml").write_text("name: [")
    return tmp_path


def names(configs: tuple[ReleaseConfig, ...]) -> list[str]:
    return [config.name for config in configs]


def test_followers_are_the_releases_of_exactly_this_alias(configs: Path) -> None:
    followed = followed_in(configs)
    assert names(followers(followed, "classifier", "champion")) == ["one", "two"]
    assert names(followers(followed, "classifier", "staging")) == ["staged"]
    assert followers(followed, "classifier", "challenger") == ()
    assert followers(followed, "one", "champion") == (), "the INT8 model's own alias starts nothing"


def test_followers_without_a_folder_say_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="PADDLE_INT8_CONFIGS"):
        followed_in(tmp_path / "absent")


def test_pinned_release_is_of_the_version_and_else_the_same(configs: Path) -> None:
    config = load_config(configs / "two.yaml")
    version = pinned(config, SourceVersion(model="classifier", version="7"))
    assert version.model == RegisteredModel(registered="models:/classifier/7", folder="fp32")
    assert version.model_copy(update={"model": config.model}) == config


@pytest.mark.parametrize(
    ("number", "state", "action"),
    [
        (1, "SCHEDULED", "running"),
        (1, "PENDING", "running"),
        (1, "RUNNING", "running"),
        (3, "PAUSED", "running"),
        (1, "FAILED", "started"),
        (2, "CRASHED", "started"),
        (1, "COMPLETED", "started"),
        (3, "FAILED", "given up"),
    ],
)
def test_reconciliation_tries_again_after_an_end_until_attempts_are_spent(
    number: int, state: str, action: str
) -> None:
    assert next_action(Attempt(number=number, flow_run_id="x", state=state), 3) == action


def test_reconciliation_starts_what_was_never_tried() -> None:
    assert next_action(None, 1) == "started"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"webhook_secret": None}, "no PADDLE_INT8_WEBHOOK_SECRET"),
        ({"webhook_secret": "short"}, "a secret of 5 characters"),
        ({"PREFECT_API_URL": None}, "no PREFECT_API_URL"),
        ({"configs": "absent"}, "no folder"),
    ],
)
def test_receiver_does_not_start_without_what_it_needs(
    configs: Path, changes: dict[str, Any], found: str
) -> None:
    asked: dict[str, Any] = {
        "webhook_secret": "0123456789abcdef",
        "PREFECT_API_URL": "http://127.0.0.1:9/api",
        "configs": configs,
    }
    with pytest.raises(ConfigError, match=found) as caught:
        receiver(Settings(**{**asked, **changes}))
    assert "short" not in str(caught.value)
