"""Counts the false approvals of real releases whose true drops are known.

    python -m benchmarks.false_approvals --releases 240    # a stopped run goes on where it was
    python -m benchmarks.false_approvals --table           # the table of what was released so far

The population is a pool of samples on which the answers of FP32 and of every candidate that a release has
tried are known. Each release has labels of its own on the pool: what FP32 answers, with noise. The noise is
such that each known candidate loses a little more than the margin in most releases, and much less in the
others. So the true drop of each candidate is known exactly. The release draws its validation samples from the
pool, searches and judges as any release does. Each release adds one line to `releases.jsonl` in the folder.
The strategies run at the same time, each in a process of its own.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.false_approvals_population import Classes, Population, drop_pp, noised, populated
from paddle_int8.flows.cli.embedded import surroundings
from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.contracts.verdict import Release
from paddle_int8.tasks.contracts.vocabulary import Outcome
from paddle_int8.tasks.process import isolated
from tests.e2e.small_inputs import SmallInputs

FOLDER = Path(__file__).parents[1] / "var" / "false_approvals"
DRAWN = 800
"""Samples of one release."""
MARGIN_PP, BEYOND_PP, WITHIN_PP = 3.0, 0.02, 0.5
"""The gate's margin; how far beyond it wrong candidates are to be; and what right candidates are to lose."""
STRATEGIES = ("auto", "mixed")
WRONG_IN_TURN = 5
"""With each strategy, so many releases have wrong candidates, and then one has right candidates."""
SCOUTS = 6
"""So many releases come first, and do not count: they make the candidates known that a search tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One release. `drops_pp` are the true drops of the candidates that it tried, by name."""

    number: int
    strategy: str
    wrong: bool
    outcome: str
    chosen: str
    drops_pp: dict[str, float]
    searched: bool
    same_answers: bool
    seconds: float

    @property
    def drop_pp(self) -> float:
        return self.drops_pp[self.chosen]

    @property
    def approved(self) -> bool:
        return self.outcome == Outcome.APPROVED

    @property
    def any_wrong(self) -> bool:
        """Whether a candidate that it tried is wrong."""
        return max(self.drops_pp.values()) > MARGIN_PP

    @property
    def false(self) -> bool:
        """Whether it approved a wrong candidate."""
        return self.approved and self.drop_pp > MARGIN_PP


def released(population: Population, number: int, strategy: str, *, wrong: bool) -> Record:
    """One real release. Its number decides its samples, and its labels as far as the candidates are known."""
    from paddle_int8.flows.release import release

    started, draw = time.monotonic(), np.random.default_rng([7, number + SCOUTS])
    baseline = population.baseline
    target = MARGIN_PP + BEYOND_PP if wrong else WITHIN_PP
    labels = noised(draw, baseline, population.known(), target)
    rows = np.sort(draw.choice(len(labels), DRAWN, replace=False))
    data = population.folder / f"validation-{strategy}.npz"
    np.savez(data, image=population.images[rows], labels=labels[rows])
    sources = {
        "calibration": {"kind": "npz", "path": str(population.folder / "calibration.npz")},
        "validation": {"kind": "npz", "path": str(data)},
    }
    config = SmallInputs(folder=population.folder).config(
        population.folder / f"release-{strategy}.yaml",
        f"false-approvals-{strategy}",
        data=sources,
        quantization={"strategy": strategy},
        validation={"metrics": ["top1"], "repeats": 20, "warmup": 0, "processes": 2, "references": []},
        gate={"metric": "top1", "max_drop_pp": MARGIN_PP, "min_speedup": 0.01},
    )
    found = release(load_config(config))
    answers = {
        each.candidate.name: population.of(each.candidate.name, each.digest) for each in found.verdicts
    }
    assert found.chosen is not None
    return Record(
        number=number,
        strategy=strategy,
        wrong=wrong,
        outcome=found.outcome.value,
        chosen=found.chosen.name,
        drops_pp={name: drop_pp(labels, baseline, each) for name, each in answers.items()},
        searched=any(each.candidate.overrides for each in found.verdicts),
        same_answers=_as_known(found, labels[rows], baseline[rows], {n: a[rows] for n, a in answers.items()}),
        seconds=time.monotonic() - started,
    )


def _as_known(found: Release, labels: Classes, baseline: Classes, answers: dict[str, Classes]) -> bool:
    """Whether each drop that the release measured on all of its samples is that of the known answers."""
    measured = {each.candidate.name: each.per_isa[0].metrics[0] for each in found.evidence}
    return all(
        abs(metric.drop_pp - drop_pp(labels, baseline, answers[name])) < 1e-6
        for name, metric in measured.items()
        if metric.samples == len(labels)
    )


def planned(number: int) -> tuple[str, bool]:
    """The strategy of a release, and whether its candidates are wrong. Strategies take turns."""
    in_turn = len(STRATEGIES) * WRONG_IN_TURN
    wrong = number % (in_turn + len(STRATEGIES)) < in_turn
    return STRATEGIES[number % len(STRATEGIES)], wrong


def recorded(folder: Path) -> list[Record]:
    path = folder / "releases.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Record(**json.loads(line)) for line in lines]


def interval(count: int, of: int) -> tuple[float, float]:
    """The exact two-sided interval of a share at 95 % (Clopper and Pearson)."""
    found = stats.binomtest(count, of).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def table(records: Sequence[Record]) -> Iterator[str]:
    """Markdown: how many releases approved a wrong candidate, and how many a right one."""
    head = ("candidates", "strategy", "releases", "searched", "chosen: true drop", "approved")
    yield f"| {' | '.join(head)} | share, 95 % interval |"
    yield f"{'|---' * 7}|"
    for wrong in (True, False):
        for strategies in (*((each,) for each in STRATEGIES), STRATEGIES):
            of_kind = [each for each in records if each.wrong is wrong and each.strategy in strategies]
            some = [each for each in of_kind if each.any_wrong or not wrong]
            approved = [each for each in some if each.approved and each.false is wrong]
            if some:
                yield _row(some, len(approved), "wrong" if wrong else "right", strategies)
    yield ""
    otherwise = sum(not each.same_answers for each in records)
    yield f"Releases whose measured drops are not the known ones: {otherwise}"
    rightly = sum(each.wrong and each.approved and not each.false for each in records)
    yield f"Candidates that were to be wrong, are right and were approved: {rightly}"
    wrongly = sum(each.false for each in records if not each.wrong)
    yield f"Candidates that were to be right, are wrong and were approved: {wrongly}"


def _row(some: Sequence[Record], approved: int, kind: str, strategies: Sequence[str]) -> str:
    drops = [each.drop_pp for each in some]
    low, high = interval(approved, len(some))
    searched = sum(each.searched for each in some)
    return (
        f"| {kind} | {' and '.join(f'`{each}`' for each in strategies)} | {len(some)} | {searched} | "
        f"{min(drops):.2f} to {max(drops):.2f} | {approved} | "
        f"{100 * approved / len(some):.1f} %, {100 * low:.1f} to {100 * high:.1f} |"
    )


def scouted(population: Population) -> None:
    """Makes the candidates known that a search tries, by releases that do not count."""
    done = population.folder / "scouted"
    for place in range(0 if done.exists() else SCOUTS):
        released(population, place - SCOUTS, "mixed", wrong=place % 3 != 2)
    done.touch()


def alone(folder: Path) -> int:
    """The descriptor of a lock, which is held until this process and those that it starts have ended.

    Raises: SystemExit when another run holds it; both would write the same samples.
    """
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise SystemExit(f"another run uses {folder}") from None
    return lock


def run(folder: Path, releases: int, minutes: float, strategy: str | None) -> None:
    """Goes on with the releases until there are so many, or the minutes are over.

    strategy: runs those with this strategy alone. Without it, one process for each strategy runs them.
    """
    held = () if strategy else (alone(folder),)
    started, settings = time.monotonic(), Settings()
    surroundings.prepare(settings)
    wait = surroundings.start_prefect(settings)
    isolated.warm_up()
    wait()
    population = populated(folder)
    if strategy is None:
        scouted(population)
        options = ("--folder", str(folder), "--releases", str(releases), "--minutes", str(minutes))
        command = (sys.executable, "-m", "benchmarks.false_approvals", *options, "--strategy")
        running = [subprocess.Popen((*command, each), pass_fds=held) for each in STRATEGIES]
        ended = [each.wait() for each in running]
        if any(ended):
            raise SystemExit("a strategy's releases did not end well")
        return
    done = {each.number for each in recorded(folder)}
    for number in sorted(set(range(releases)) - done):
        own, wrong = planned(number)
        if own != strategy:
            continue
        if time.monotonic() - started > 60 * minutes:
            break
        record = released(population, number, strategy, wrong=wrong)
        with (folder / "releases.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(record)) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--releases", type=int, default=240)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no release after that")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--strategy", choices=STRATEGIES, help="only releases with this one")
    parser.add_argument("--table", action="store_true", help="run none, and show what was released so far")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    os.environ["PADDLE_INT8_HOME"] = str(options.folder / "home")
    if not options.table:
        run(options.folder, options.releases, options.minutes, options.strategy)
    if not options.strategy:
        for line in table(recorded(options.folder)):
            sys.stdout.write(line + "\n")


if __name__ == "__main__":
    from benchmarks.false_approvals import main as run_main  # isolated processes import functions by module

    run_main()
