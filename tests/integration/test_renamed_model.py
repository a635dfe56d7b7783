"""A registered model was renamed in MLflow: commands for both names say so, and the remedy works."""

from __future__ import annotations

from pathlib import Path

import pytest

from paddle_int8.tasks.contracts.errors import RegistryError
from paddle_int8.tasks.promotion import ledger
from paddle_int8.tasks.promotion.export import export_bundle
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.tracking.connection import connection
from paddle_int8.tasks.tracking.registry import ensure_registered_model
from tests import databases
from tests.decision_factory import build_decision
from tests.release_factory import build_config


@pytest.fixture
def renamed(tmp_path: Path) -> str:
    """A registry where `digits`, with two versions and a champion, has become `figures`."""
    uri = databases.mlflow_in(tmp_path)
    run_id = runs.start_release(uri, build_config())
    with connection(uri) as client:
        ensure_registered_model(client, "digits")
        for _ in range(2):
            client.create_model_version("digits", source=client.get_run(run_id).info.artifact_uri)
    ledger.append(uri, build_decision())
    ledger.follow_records(uri, "digits", "champion")
    with connection(uri) as client:
        client.rename_registered_model("digits", "figures")
    return uri


def test_old_name_of_a_renamed_model_is_refused_with_the_new_one(renamed: str, tmp_path: Path) -> None:
    for ask in (
        lambda: ledger.history(renamed, "digits"),
        lambda: ledger.current(renamed, "digits", "champion"),
        lambda: export_bundle(renamed, "digits", tmp_path / "out", version=1, alias=""),
    ):
        with pytest.raises(RegistryError, match="renamed to figures"):
            ask()


def test_new_name_of_a_renamed_model_keeps_its_decisions_once_the_remedy_is_followed(renamed: str) -> None:
    with pytest.raises(RegistryError, match=r"decisions on figures in digits\.promotions") as raised:
        ledger.current(renamed, "figures", "champion")
    assert "rename_registered_model('digits.promotions', 'figures.promotions')" in raised.value.remedy
    with connection(renamed) as client:
        client.rename_registered_model("digits.promotions", "figures.promotions")
    assert ledger.current(renamed, "figures", "champion").version == "2"
    assert ledger.history(renamed, "figures").champions == {"champion": "2"}


def test_other_models_of_the_registry_are_looked_after_beside_a_renamed_one(renamed: str) -> None:
    assert ledger.left_behind_aliases(renamed) == ()
    with pytest.raises(RegistryError, match="release one first"):
        ledger.history(renamed, "absent")
