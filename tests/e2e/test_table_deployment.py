"""The published table runs from its deployment on a worker, with nobody at a terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from paddle_int8.tasks.published.figures import IMAGES
from paddle_int8.tasks.published.table import SPEED_HEADS
from tests.e2e.servers import ENDED, PrefectServer, wait_until
from tests.e2e.small_inputs import SmallInputs
from tests.e2e.test_published_table import LENIENT

pytestmark = pytest.mark.paddle

NAME = "published-table"
FAILING, MEASURED = IMAGES[0], IMAGES[1]
RUN_S = 300


@pytest.fixture
def configs(inputs: SmallInputs, tmp_path: Path) -> Path:
    """Releases of two rows, of which the first has no model."""
    changes = {"gate": LENIENT, "registry": {"enabled": False}, "validation": {"metrics": ["agreement"]}}
    inputs.config(tmp_path / f"{MEASURED.key}_speed.yaml", "row-measured", **changes)
    changes |= {"model": {"path": "/nowhere"}}
    inputs.config(tmp_path / f"{FAILING.key}_speed.yaml", "row-failing", **changes)
    return tmp_path


def test_published_table_run_by_a_worker_leaves_its_page_and_does_no_row_twice(
    working: PrefectServer, configs: Path
) -> None:
    home = Path(working.environment["PADDLE_INT8_HOME"])
    first = _run(working, {"configs": str(configs)})
    releases = _releases(working, first)
    assert releases == {"row-measured": "COMPLETED", "row-failing": "FAILED"}
    (page,) = _artifacts(working, first)
    assert "nothing at /nowhere" in page
    assert page == (home / "reports" / f"{NAME}.md").read_text(encoding="utf-8")
    html = (home / "reports" / f"{NAME}.html").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| {MEASURED.title} |"))
    speed_up = row.strip("| ").split(" | ")[SPEED_HEADS.index("ratio here (95 %)")].replace("*", "")
    assert re.fullmatch(r"\d+\.\d\dx \(.*\)", speed_up)
    assert speed_up in html

    again = _run(working, {"configs": str(configs), "only": [MEASURED.key]})
    assert _releases(working, again) == {}
    assert any(row == line for line in _artifacts(working, again)[0].splitlines())


def _run(server: PrefectServer, request: dict[str, Any]) -> str:
    """A run of the deployment that has ended well, by its id."""
    run_id = server.start(NAME, {"request": request})
    ended = wait_until(
        lambda: server.run(run_id),
        lambda run: run["state_type"] in ENDED,
        seconds=RUN_S,
        what="the table",
    )
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    return run_id


def _releases(server: PrefectServer, run_id: str) -> dict[str, str]:
    """The releases that the run has started, and how they ended."""
    body = {"flow_runs": {"parent_flow_run_id": {"any_": [run_id]}}}
    return {each["name"]: each["state_type"] for each in server.ask("flow_runs/filter", body)}


def _artifacts(server: PrefectServer, run_id: str) -> list[str]:
    body = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": [NAME]}}}
    return [each["data"] for each in server.ask("artifacts/filter", body)]
