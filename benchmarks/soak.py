"""Runs many releases of a tiny model through the whole stack, and watches for leaks: `make soak`.

    python -m benchmarks.soak --releases 200 --at-a-time 4

The services of `docker-compose.yml` run as local processes against a PostgreSQL of their own. Each release
draws other calibration data, so that only the baseline comes from the cache. When it is started again with
the same folder, it continues where it stopped. The report, in Markdown, covers the longest uninterrupted
part. Set TMPDIR to a folder that nothing else uses, since everything in it is counted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import yaml

from benchmarks.observation import Observation, observe, processes_of, temporary_things
from benchmarks.trend import trend
from deploy.compose import Host, Service, services
from deploy.local_stack import end_on_signals, running
from paddle_int8.tasks.process.isolated import run_isolated
from tests.e2e.servers import ENDED, ROOT, STACK_PORTS, free_port, stack_secrets
from tests.e2e.small_inputs import SmallInputs, export, save_data, teach

NAMES = 8
"""How many release names, and so MLflow experiments and registered models, the flow runs are spread over."""
QUEUED = 2
"""How many flow runs wait in addition to those that run."""
EVERY_S = 10.0
WARM_UP = 0.2
"""The first share of the releases, in which memory still grows to its working size."""
PATIENCE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """A soak's folder, with the data and secrets of the stack and with `observations.jsonl`."""

    folder: Path
    secrets: dict[str, str]
    ports: dict[int, int]

    @property
    def home(self) -> Path:
        return self.folder / "stack" / "worker" / "home"

    @property
    def database(self) -> str:
        password = self.secrets["POSTGRES_PASSWORD"]
        return f"postgresql://paddle_int8:{password}@127.0.0.1:{self.ports[5432]}/prefect"

    def prefect(self) -> httpx.Client:
        url = f"http://127.0.0.1:{self.ports[4200]}/api/"
        return httpx.Client(base_url=url, auth=("admin", self.secrets["PREFECT_PASSWORD"]), timeout=120)

    def mlflow(self) -> httpx.Client:
        url = f"http://127.0.0.1:{self.ports[5000]}/api/2.0/mlflow/"
        return httpx.Client(base_url=url, auth=("admin", self.secrets["MLFLOW_PASSWORD"]), timeout=120)


@contextmanager
def stack(folder: Path, at_a_time: int) -> Iterator[Soak]:
    """Runs the services while the context is open; the worker runs `at_a_time` flow runs at a time."""
    kept = folder / "secrets.json"
    if not kept.exists():
        kept.write_text(json.dumps(stack_secrets()), encoding="utf-8")
        kept.chmod(0o600)
    soak = Soak(
        folder=folder,
        secrets=json.loads(kept.read_text(encoding="utf-8")),
        ports={port: free_port() for port in STACK_PORTS},
    )
    host = Host(folder=folder / "stack", project=ROOT, ports=soak.ports)
    found = services(ROOT / "docker-compose.yml", soak.secrets, host)
    with running(tuple(_at_a_time(service, at_a_time) for service in found), host):
        yield soak


def _at_a_time(service: Service, limit: int) -> Service:
    if service.name != "worker":
        return service
    return replace(service, command=(*service.command, "--limit", str(limit)))


def small_inputs(folder: Path) -> SmallInputs:
    """A real network of three layers and data of noise, which are made once."""
    if not (folder / "taught.npz").exists():
        folder.mkdir(parents=True, exist_ok=True)
        run_isolated(export, folder, step="export", log=folder / "export.log", timeout_s=600)
        run_isolated(teach, folder, step="teach", log=folder / "teach.log", timeout_s=600)
        save_data(folder / "calibration.npz", 64, seed=1)
        save_data(folder / "validation.npz", 40, seed=2)
    return SmallInputs(folder=folder)


def submit(client: httpx.Client, inputs: SmallInputs, number: int) -> None:
    """Submits the flow run of one release. If it was submitted before, no second one is made."""
    written = inputs.approvable(
        inputs.folder / "release.yaml", f"soak-{number % NAMES}", data={"seed": number}
    )
    config = yaml.safe_load(written.read_text(encoding="utf-8"))
    deployment = client.get("deployments/name/release/release").raise_for_status().json()["id"]
    body = {"parameters": {"config": config}, "idempotency_key": f"soak {number}", "tags": ["soak"]}
    client.post(f"deployments/{deployment}/create_flow_run", json=body).raise_for_status()


def ended(client: httpx.Client) -> int:
    wanted = {"flow_runs": {"state": {"type": {"any_": sorted(ENDED)}}, "tags": {"all_": ["soak"]}}}
    return int(client.post("flow_runs/count", json=wanted).raise_for_status().json())


def soak_through(soak: Soak, inputs: SmallInputs, *, releases: int, at_a_time: int, seconds: float) -> int:
    """Has the releases run while observing the stack, and returns how many were submitted.

    When the time is up, no more are submitted, and those under way are waited for.
    """
    deadline, session = time.monotonic() + seconds, time.time()
    with soak.prefect() as client, (soak.folder / "observations.jsonl").open("a", encoding="utf-8") as kept:
        done = asked = ended(client)
        while done < asked or (asked < releases and time.monotonic() < deadline):
            while asked < min(releases, done + at_a_time + QUEUED) and time.monotonic() < deadline:
                submit(client, inputs, asked)
                asked += 1
            time.sleep(EVERY_S)
            done = ended(client)
            _keep(kept, session, observe(done, database=soak.database, home=soak.home))
            if time.monotonic() > deadline + PATIENCE_S:
                break
        _until_idle(soak, done, session, kept)
    return asked


def _until_idle(soak: Soak, done: int, session: float, kept: Any) -> None:
    """Waits until the worker's last processes have ended, and observes what is left."""
    for _ in range(6):
        time.sleep(EVERY_S)
        last = observe(done, database=soak.database, home=soak.home)
        if not last.flow_processes:
            break
    _keep(kept, session, last)


def _keep(kept: Any, session: float, observation: Observation) -> None:
    kept.write(json.dumps({"session": session, **asdict(observation)}) + "\n")
    kept.flush()


def states(soak: Soak) -> dict[str, str]:
    """The state of every flow run, by id."""
    found: dict[str, str] = {}
    with soak.prefect() as client:
        while True:
            wanted = {"flow_runs": {"tags": {"all_": ["soak"]}}, "offset": len(found), "sort": "ID_DESC"}
            page = client.post("flow_runs/filter", json=wanted).raise_for_status().json()
            if not page:
                return found
            found |= {run["id"]: run["state_type"] for run in page}


def tracked(soak: Soak) -> tuple[Counter[str], Counter[str], int]:
    """MLflow's content: the runs of each flow run, the statuses of all runs, and the number of versions."""
    with soak.mlflow() as client:
        listed = client.post("experiments/search", json={"max_results": 1000}).raise_for_status().json()
        ids = [each["experiment_id"] for each in listed["experiments"] if each["name"].startswith("soak-")]
        runs: list[dict[str, Any]] = []
        body: dict[str, Any] = {"experiment_ids": ids, "max_results": 1000}
        while True:
            page = client.post("runs/search", json=body).raise_for_status().json()
            runs += page.get("runs", [])
            if not (token := page.get("next_page_token")):
                break
            body["page_token"] = token
        found = client.get("model-versions/search", params={"max_results": 10_000}).raise_for_status().json()
    tags = [{tag["key"]: tag["value"] for tag in run["data"]["tags"]} for run in runs]
    parents = Counter(each["prefect_flow_run_id"] for each in tags if "mlflow.parentRunId" not in each)
    return parents, Counter(run["info"]["status"] for run in runs), len(found.get("model_versions", []))


def observations(folder: Path) -> list[dict[str, Any]]:
    """The observations of the session with the most releases."""
    lines = map(json.loads, (folder / "observations.jsonl").read_text(encoding="utf-8").splitlines())
    sessions: dict[float, list[dict[str, Any]]] = {}
    for line in lines:
        sessions.setdefault(line["session"], []).append(line)
    return max(sessions.values(), key=lambda found: found[-1]["ended"] - found[0]["ended"])


def report(found: list[dict[str, Any]]) -> Iterator[str]:
    """Lines of Markdown: what each service held at first and at last, and the slope of its memory."""
    first, last = found[0], found[-1]
    warm = first["ended"] + WARM_UP * (last["ended"] - first["ended"])
    settled = [each for each in found if each["ended"] >= warm]
    yield "| | MiB: first, settled, last | MiB per 100 releases (95 %) | files: settled, last | processes |"
    yield "|---|---|---|---|---|"
    for name in first["services"]:
        then, start, end = (each["services"][name] for each in (first, settled[0], last))
        slope = trend([(each["ended"], each["services"][name]["memory_mib"]) for each in settled])
        yield (
            f"| {name} | {then['memory_mib']:.0f}, {start['memory_mib']:.0f}, {end['memory_mib']:.0f} "
            f"| {100 * slope.per_step:+.1f} ({100 * slope.lower:+.1f} to {100 * slope.upper:+.1f}) "
            f"| {start['files']}, {end['files']} | {start['processes']}, {end['processes']} |"
        )
    yield ""
    yield "| | settled | most | at the end, idle |"
    yield "|---|---|---|---|"
    for name in last["connections"]:
        counts = [each["connections"].get(name, 0) for each in settled]
        yield f"| connections to `{name}` | {counts[0]} | {max(counts)} | {counts[-1]} |"
    for name, key in (("processes below the worker", "flow_processes"), ("temporary things", "temporary")):
        counts = [each[key] for each in settled]
        yield f"| {name} | {counts[0]} | {max(counts)} | {counts[-1]} |"
    seconds = last["at"] - first["at"]
    yield ""
    yield f"{last['ended'] - first['ended']} releases in {seconds / 60:.0f} min."


def account(soak: Soak, asked: int) -> Iterator[str]:
    """Lines of Markdown that say whether every flow run is in MLflow exactly once."""
    flow_runs = states(soak)
    parents, statuses, versions = tracked(soak)
    yield f"Asked for: {asked}. Flow runs: {dict(Counter(flow_runs.values()))}."
    yield f"MLflow: {sum(parents.values())} releases, runs {dict(statuses)}, {versions} registered versions."
    missing = [each for each in flow_runs if parents[each] != 1]
    yield f"Flow runs without exactly one run in MLflow: {missing or 'none'}"


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--releases", type=int, default=200)
    parser.add_argument("--at-a-time", type=int, default=4)
    parser.add_argument(
        "--minutes", type=float, default=24 * 60.0, help="time after which no more are submitted"
    )
    parser.add_argument("--folder", type=Path, default=Path("var/soak"))
    options = parser.parse_args()
    end_on_signals()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    inputs = small_inputs(folder / "inputs")
    with stack(folder, options.at_a_time) as soak:
        asked = soak_through(
            soak,
            inputs,
            releases=options.releases,
            at_a_time=options.at_a_time,
            seconds=60 * options.minutes,
        )
        _say(report(observations(folder)))
        _say(account(soak, asked))
    left = processes_of(soak.home), list(map(str, temporary_things(soak.home)))
    _say(iter((f"After the stack's end: processes {left[0]}, temporary things {left[1]}",)))


if __name__ == "__main__":
    main()
