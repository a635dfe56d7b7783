"""The Prefect tasks that find and keep the table's records, and publish the table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from pydantic_core import to_json

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.request import ptq_request, ruling
from paddle_int8.tasks.config.callables import modules_named
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.artifacts import HostProfile
from paddle_int8.tasks.contracts.keys import decisive
from paddle_int8.tasks.data.dataset import draw_dataset
from paddle_int8.tasks.data.metrics import METRICS
from paddle_int8.tasks.data.sources import SOURCES
from paddle_int8.tasks.engines.paddle.given.as_it_is import take_as_it_is
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.quantization.finetune import finetune_model
from paddle_int8.tasks.engines.paddle.quantization.observe import observe_model
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model
from paddle_int8.tasks.engines.paddle.quantization.recurrent import quantize_recurrent
from paddle_int8.tasks.gate.choice import choose
from paddle_int8.tasks.gate.criteria import judge
from paddle_int8.tasks.hardware.levels import environment
from paddle_int8.tasks.layouts.code import chosen_conversion, chosen_engine, chosen_form
from paddle_int8.tasks.published.measured import Measured, measured
from paddle_int8.tasks.published.records import read_record, record_key, write_record
from paddle_int8.tasks.published.table import Table, to_csv, to_html, to_markdown
from paddle_int8.tasks.steps.step import code_digests, engines, stage, step
from paddle_int8.tasks.store.folder import scratch
from paddle_int8.tasks.strategies.grid import GridSearch
from paddle_int8.tasks.tracking import runs
from paddle_int8.tasks.validation.baseline import write_baseline_outputs
from paddle_int8.tasks.validation.fitness import measure_baseline
from paddle_int8.tasks.validation.measure import measure
from paddle_int8.tasks.validation.native import compare_with_native
from paddle_int8.tasks.validation.runtimes import measure_with
from paddle_int8.tasks.validation.timing import time_process

NAME = "published-table"
RELEASED = (
    *(prepare_model, draw_dataset, finetune_model, ptq_request, observe_model),
    *(quantize_model, quantize_recurrent, take_as_it_is),
    *(environment, measure_baseline, compare_with_native, write_baseline_outputs, time_process, measure),
    measure_with,
    *(GridSearch, judge, choose, measured),
)
"""All that computes what a record holds, beside the layouts of its release and their engines."""

CHOSEN = (chosen_form, chosen_conversion, chosen_engine)


@step(name="find record", task_run_name="find record of {config.name}")
def find_record(config: ReleaseConfig, host: HostProfile) -> Measured | None:
    """What an earlier run of the same release measured, on this CPU and with this code; None without one."""
    return read_record(_folder(), config.name, _key(config, host))


@step(name="keep record", task_run_name="keep record of {config.name}")
def keep_record(config: ReleaseConfig, host: HostProfile, found: Measured) -> None:
    write_record(_folder(), config.name, _key(config, host), found)


@step(name="publish table", retries=2, retry_delay_seconds=2)
def publish_table(table: Table) -> Path:
    """Writes the table as Markdown, CSV and HTML to `reports/` and to MLflow. Returns the Markdown's path.

    The Markdown becomes a Prefect artifact too.
    """
    with stage("publish table") as summary, scratch(Settings().store, "table") as folder:
        documents = {
            f"{NAME}.md": to_markdown(table),
            f"{NAME}.csv": to_csv(table),
            f"{NAME}.html": to_html(table),
        }
        reports = Settings().root / "reports"
        reports.mkdir(parents=True, exist_ok=True)
        for name, text in documents.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).replace(reports / name)
        run_id = runs.log_documents(Settings().tracking_uri, NAME, documents, _ratios(table))
        create_markdown_artifact(documents[f"{NAME}.md"], key=NAME, description=table.date)
        summary.append(f"{reports / NAME}.md, MLflow run {run_id}")
        return reports / f"{NAME}.md"


def _key(config: ReleaseConfig, host: HostProfile) -> str:
    named = modules_named(config.model_dump(mode="json"))
    named |= {SOURCES.module(each.kind) for each in (config.data.calibration, config.data.validation)}
    named |= {METRICS.module(name) for name in config.validation.metrics if ":" not in name}
    asked = [ALGORITHMS.find(name) for name in config.quantization.algorithms]
    named |= {ALGORITHMS.module(each.name) for one in asked for each in (one, ruling(one))}
    layouts = config.quantization.layouts
    chosen = [choice(name) for name in layouts for choice in CHOSEN]
    code = {function.__module__ for function in RELEASED}.union(named, *(each.modules for each in chosen))
    packages = engines(package for each in chosen for package in each.packages)
    values = to_json([decisive(each.values) for each in chosen]).decode()
    return record_key(config, host, " ".join((*code_digests(code), *packages, values)))


def _folder() -> Path:
    return Settings().root / "published"


def _ratios(table: Table) -> Mapping[str, float]:
    """The speed-up of each row and instruction set as MLflow metrics, to compare machines and dates."""
    return {
        f"{row.published.key}/{speed.isa}/speedup_ratio": speed.ratio
        for row in table.rows
        if isinstance(row.speed, Measured)
        for speed in row.speed.per_isa
    }
