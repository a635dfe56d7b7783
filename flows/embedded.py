"""The defaults of a host without servers: Prefect's temporary server, MLflow on a local SQLite file.

Must run before Prefect is imported, which reads its settings once. What the user has set wins, so
`PREFECT_API_URL` and `MLFLOW_TRACKING_URI` move both to servers with no other change.
"""

from __future__ import annotations

import os

from tasks.settings import Settings

QUIET = {
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",  # the terminal belongs to the user
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # eight processes that nothing here needs
    "GIT_PYTHON_REFRESH": "quiet",
}


def prepare(settings: Settings) -> None:
    """Sets what Prefect and MLflow read at import, unless the user has set it."""
    local = {
        **QUIET,
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(settings.store / "results"),
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
    if settings.prefect_api_url is None:
        local["PREFECT_HOME"] = str(settings.prefect_home)
        settings.prefect_home.mkdir(parents=True, exist_ok=True)
    for name, value in local.items():
        os.environ.setdefault(name, value)
