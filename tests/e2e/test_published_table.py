"""The table's flow on small releases: a failing row is marked, a finished one is not run again."""

from __future__ import annotations

import shutil

import pytest

from tasks.published.figures import IMAGES
from tasks.published.measured import Measured, Unmeasured
from tasks.published.request import TableRequest
from tasks.tracking.connection import connection
from tests.e2e.ground import Ground

pytestmark = pytest.mark.paddle

LENIENT = {"metric": "agreement", "max_drop_pp": 100.0, "min_speedup": 0.01, "min_int8_share": 0.1}


def test_table_marks_a_failed_row_goes_on_and_keeps_what_is_done(warm_ground: Ground) -> None:
    from flows.published_table import published_table

    folder = warm_ground.folder / "configs"
    folder.mkdir()
    good, bad = (folder / f"{row.key}_speed.yaml" for row in IMAGES[1::-1])
    changes = {"gate": LENIENT, "registry": {"enabled": False}, "validation": {"metrics": ["agreement"]}}
    warm_ground.inputs.config(good, warm_ground.name, **changes)
    shutil.copy(good, bad)
    bad.write_text(bad.read_text().replace(str(warm_ground.inputs.folder / "model"), "/nowhere"))

    table, document = published_table(TableRequest(configs=folder))
    failed, done, *rest = (row.speed for row in table.rows)
    assert isinstance(done, Measured)
    assert isinstance(failed, Unmeasured)
    assert "/nowhere" in failed.reason
    assert all(isinstance(each, Unmeasured) for each in rest)
    assert "not measured: nothing at /nowhere" in document.read_text()

    again, _ = published_table(TableRequest(configs=folder, only=(IMAGES[1].key,)))
    assert again.rows[1].speed == done
    with connection(warm_ground.tracking_uri) as client:
        (experiment,) = client.search_experiments(filter_string=f"name = '{warm_ground.name}'")
        tables = client.search_experiments(filter_string="name = 'published-table'")
        runs = client.search_runs([experiment.experiment_id], "tags.outcome = 'approved'")
        (newest, *_) = client.search_runs([tables[0].experiment_id])
        files = {item.path for item in client.list_artifacts(newest.info.run_id)}
        assert not client.search_registered_models(f"name = '{warm_ground.name}'")
    assert len([run for run in runs if "mlflow.parentRunId" not in run.data.tags]) == 1
    assert files == {f"published-table.{kind}" for kind in ("md", "csv", "html")}
    assert (
        newest.data.metrics[f"{IMAGES[1].key}/{done.per_isa[0].isa}/speedup_ratio"] == done.per_isa[0].ratio
    )
