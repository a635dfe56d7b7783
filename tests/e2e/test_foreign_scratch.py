"""A worker runs beside another user's, although Prefect's scratch folder has one name for all users."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.servers import PrefectServer, worker


def test_worker_starts_where_prefects_scratch_folder_cannot_be_written(
    deployed: PrefectServer, temporary: Path
) -> None:
    (temporary / "runner_storage").touch()  # a file stops root as well, whom no other user's folder stops
    with worker(deployed, TMPDIR=str(temporary)) as process:
        assert process.is_running()
