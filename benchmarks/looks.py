"""Simulates releases that compare many candidates, to choose how the gate corrects for that.

    python -m benchmarks.looks                       # the tables of docs/explanation/statistics.md
    python -m benchmarks.looks --plot docs/explanation/looks.svg

A simulated release draws the paired outcomes of its candidates on N samples: a candidate loses a sample,
gains it, or neither. The outcomes of any two candidates have a given correlation. Candidate 0 is the
fastest, 1 the next: which samples are drawn changes no candidate's speed. The release takes the first that
the method approves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from paddle_int8.tasks.validation.simultaneous import correlation_of_sums, joint_deviates, step_down
from paddle_int8.tasks.validation.statistics import drop_p_value

ERROR = 0.05
DRAWS = 2_000
"""Fewer than the gate draws, since many releases are simulated; 5 % is met within 0.5 points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """How often a candidate loses and gains a sample, as shares of the population."""

    lost: float
    gained: float

    @property
    def events(self) -> float:
        return self.lost + self.gained


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One kind of release. `truths` are those of its candidates, the fastest first."""

    truths: tuple[Truth, ...]
    samples: int
    rho: float
    margin: float = 0.01

    @property
    def wrong(self) -> list[bool]:
        return [truth.lost - truth.gained > self.margin - 1e-9 for truth in self.truths]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """1 where a candidate loses a sample, -1 where it gains it, else 0: `found` [candidates, columns].

    Samples that no candidate loses or gains have no column. There are `samples` with and without one.
    """

    found: NDArray[np.int8]
    samples: int

    def take(self, columns: NDArray[np.bool_], samples: int) -> Outcomes:
        return Outcomes(found=self.found[:, columns], samples=samples)


def at_margin(margin: float = 0.01, *, beyond: float = 1.0) -> Truth:
    """A wrong candidate: its drop is the margin, or `beyond` times that; it gains a third of its losses."""
    return Truth(lost=1.5 * margin * beyond, gained=0.5 * margin * beyond)


def within(margin: float = 0.01, *, part: float = 0.25) -> Truth:
    """A right candidate: its drop is a part of the margin."""
    return Truth(lost=(0.5 + part) * margin, gained=0.5 * margin)


def mixed(count: int, samples: int, rho: float, margin: float) -> Setting:
    """Wrong candidates, with twice the margin, and right ones in turns, the fastest wrong; or one right."""
    both = (at_margin(margin, beyond=2.0), within(margin))
    truths = tuple(both[place % 2] for place in range(count)) if count > 1 else (within(margin),)
    return Setting(truths=truths, samples=samples, rho=rho, margin=margin)


def draw_outcomes(draw: np.random.Generator, setting: Setting) -> Outcomes:
    """The outcomes of one release.

    Each sample has an outcome that candidates share. A candidate takes it with probability sqrt(rho), and
    has an outcome of its own otherwise, so that the differences of two candidates of equal truth have the
    correlation rho. Only what is lost or gained is drawn: shared events, then events of each candidate's
    own.
    """
    count, samples, taken = len(setting.truths), setting.samples, float(np.sqrt(setting.rho))
    lost = np.array([[truth.lost] for truth in setting.truths])
    events = np.array([[truth.events] for truth in setting.truths])
    shared = draw.random(draw.binomial(samples, events.max())) * events.max()
    chance = draw.random((count, len(shared)))
    own = chance < (1 - taken) * events
    takes = ~own & (chance < (1 - taken) * events + taken)
    uniform = np.where(own, draw.random(chance.shape) * events, np.where(takes, shared, 1.0))
    quiet = draw.binomial(samples - len(shared), (1 - taken) * events[:, 0])
    rows = np.repeat(np.arange(count), quiet)
    places = _distinct(draw, rows, samples - len(shared))
    touched, columns = np.unique(places, return_inverse=True)
    alone = np.ones((count, len(touched)))
    alone[rows, columns] = draw.random(len(rows)) * events[rows, 0]
    uniform = np.concatenate([uniform, alone], axis=1)
    found = (uniform < lost).astype(np.int8) - ((lost <= uniform) & (uniform < events)).astype(np.int8)
    return Outcomes(found=found, samples=samples)


def _distinct(draw: np.random.Generator, rows: NDArray[np.int64], samples: int) -> NDArray[np.int64]:
    """A random sample for each entry of `rows`; entries of the same row get different ones."""
    places = draw.integers(0, samples, len(rows))
    while True:
        _, first_seen = np.unique(rows * samples + places, return_index=True)
        again = np.setdiff1d(np.arange(len(rows)), first_seen)
        if not len(again):
            return places
        places[again] = draw.integers(0, samples, len(again))


@cache
def p_value(lost: float, gained: float, samples: int, margin: float) -> float:
    return drop_p_value(lost, gained, samples, margin_pp=100 * margin)


def p_values(outcomes: Outcomes, margin: float) -> list[float]:
    """The p-value of each candidate, tested alone."""
    lost, gained = (outcomes.found > 0).sum(axis=1).tolist(), (outcomes.found < 0).sum(axis=1).tolist()
    return [p_value(*counts, outcomes.samples, margin) for counts in zip(lost, gained, strict=True)]


Method = Callable[[Outcomes, float, np.random.Generator], int | None]
"""Takes the outcomes and the margin; returns the approved candidate that the release takes, or None."""


def first(approved: Sequence[bool]) -> int | None:
    return next((place for place, each in enumerate(approved) if each), None)


def uncorrected(outcomes: Outcomes, margin: float, _: np.random.Generator) -> int | None:
    """Each candidate is tested as if it were the only one."""
    return first([p <= ERROR for p in p_values(outcomes, margin)])


def holm(outcomes: Outcomes, margin: float, _: np.random.Generator) -> int | None:
    """Bonferroni's inequality, step-down (Holm 1979)."""
    p = np.array(p_values(outcomes, margin))
    approved, left = np.zeros(len(p), bool), len(p)
    for place in np.argsort(p):
        if p[place] > ERROR / left:
            break
        approved[place], left = True, left - 1
    return first(approved.tolist())


def fixed_sequence(outcomes: Outcomes, margin: float, _: np.random.Generator) -> int | None:
    """In order of speed, each with the whole error, up to the first that fails (Maurer et al. 1995).

    The first that is approved is then the fastest candidate, or there is none.
    """
    return 0 if p_values(outcomes, margin)[0] <= ERROR else None


def weighted(outcomes: Outcomes, margin: float, _: np.random.Generator) -> int | None:
    """In order of speed, the k-th candidate with a share of the error that is proportional to 1/k."""
    weights = 1 / np.arange(1, len(outcomes.found) + 1)
    shares = ERROR * weights / weights.sum()
    return first([p <= share for p, share in zip(p_values(outcomes, margin), shares, strict=True)])


def joint(outcomes: Outcomes, margin: float, _: np.random.Generator) -> int | None:
    """The gate's method for a strategy that does not learn."""
    return first(joint_approvals(outcomes, [[place] for place in range(len(outcomes.found))], margin))


def joint_approvals(
    outcomes: Outcomes, groups: Sequence[Sequence[int]], margin: float, *, of_error: float = ERROR
) -> list[bool]:
    """Whether each candidate is approved, when it has the tests (rows of `outcomes`) of its group."""
    p = p_values(outcomes, margin)
    highest = [max(p[test] for test in group) for group in groups]
    rows = outcomes.found.astype(np.float64)
    correlations = correlation_of_sums(
        rows @ rows.T, rows.sum(axis=1), outcomes.samples, worst=np.ones(len(rows))
    )
    allowed = step_down(
        joint_deviates(correlations, draws=DRAWS),
        groups,
        lambda place, error: highest[place] <= error,
        error=of_error,
    )
    return [p <= error for p, error in zip(highest, allowed, strict=True)]


def confirmation(share: float) -> Method:
    """The gate's method for a strategy that learns: it searches on a share of the samples.

    The one candidate that it finds is tested on the others.
    """

    def method(outcomes: Outcomes, margin: float, draw: np.random.Generator) -> int | None:
        searched = draw.random(outcomes.found.shape[1]) < share
        seen = round(share * outcomes.samples)
        unseen = outcomes.samples - seen
        finalist = promising(outcomes.take(searched, seen), margin, unseen)
        confirmed = p_values(outcomes.take(~searched, unseen), margin)[finalist] <= ERROR
        return finalist if confirmed else None

    return method


def promising(outcomes: Outcomes, margin: float, unseen: int) -> int:
    """The fastest candidate whose rates pass on `unseen` samples; else the one that loses least."""
    scale = unseen / outcomes.samples
    lost, gained = ((outcomes.found == sign).sum(axis=1) * scale for sign in (1, -1))
    for place in range(len(outcomes.found)):
        if p_value(float(lost[place]), float(gained[place]), unseen, margin) <= ERROR:
            return place
    return int(np.argmin(lost - gained))


METHODS: Mapping[str, Method] = {
    "uncorrected": uncorrected,
    "Holm": holm,
    "in order of speed": fixed_sequence,
    "weights by speed": weighted,
    "together": joint,
    "search 30 %": confirmation(0.3),
    "search 50 %": confirmation(0.5),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Shares of the simulated releases: `false` approved a wrong candidate, `right` a right one."""

    false: float
    right: float


def rates(setting: Setting, *names: str, releases: int, seed: int = 0) -> dict[str, Rates]:
    """Simulates so many releases, and lets each method choose in all of them."""
    draw, wrong = np.random.default_rng(seed), setting.wrong
    chosen: dict[str, list[int | None]] = {name: [] for name in names or METHODS}
    for _ in range(releases):
        outcomes = draw_outcomes(draw, setting)
        for name, found in chosen.items():
            found.append(METHODS[name](outcomes, setting.margin, draw))
    return {
        name: Rates(
            false=sum(place is not None and wrong[place] for place in found) / releases,
            right=sum(place is not None and not wrong[place] for place in found) / releases,
        )
        for name, found in chosen.items()
    }


def adaptive_rates(samples: int, *, releases: int, rounds: int, neighbours: int) -> dict[str, float]:
    """False approvals of a search that learns, among candidates that are all at the margin.

    `together` corrects for all candidates that the search visited, on the samples that it saw; `confirmation`
    tests the last one on as many fresh samples.
    """
    draw, truth = np.random.default_rng(0), at_margin()
    false = {"uncorrected": 0, "together": 0, "confirmation": 0}
    for _ in range(releases):
        found = np.concatenate([*climb(draw, samples, truth, rounds=rounds, neighbours=neighbours)])
        visited = Outcomes(found=found, samples=samples)
        false["uncorrected"] += min(p_values(visited, 0.01)) <= ERROR
        false["together"] += any(joint_approvals(visited, [[row] for row in range(len(found))], 0.01))
        fresh = Outcomes(found=_fresh(draw, (1, samples), truth), samples=samples)
        false["confirmation"] += p_values(fresh, 0.01)[0] <= ERROR
    return {name: count / releases for name, count in false.items()}


def auto_rates(samples: int, *, releases: int, candidates: int, alike: float) -> dict[str, float]:
    """False approvals of a grid that a search goes on from, among candidates that are all at the margin.

    The grid is tested on all samples. Where none of it is approved, a variant of its best candidate on 30 %
    of them is tested on the others, on a share `alike` of which it answers as that candidate does.
    `halved`: each test has half of the error. `whole`: each has all of it.
    """
    draw, truth, searched = np.random.default_rng(0), at_margin(), round(0.3 * samples)
    false = {"halved": 0, "whole": 0}
    for _ in range(releases):
        grid = _fresh(draw, (candidates, samples), truth)
        best = int(np.argmin(grid[:, :searched].sum(axis=1, dtype=np.int64)))
        unseen = _fresh(draw, (1, samples - searched), truth)
        unseen = np.where(draw.random(unseen.shape) < alike, grid[[best], searched:], unseen)
        found = Outcomes(found=unseen, samples=samples - searched)
        for name, error in (("halved", ERROR / 2), ("whole", ERROR)):
            whole = Outcomes(found=grid, samples=samples)
            groups = [[row] for row in range(candidates)]
            approved = any(joint_approvals(whole, groups, 0.01, of_error=error))
            false[name] += approved or p_values(found, 0.01)[0] <= error
    return {name: count / releases for name, count in false.items()}


def climb(
    draw: np.random.Generator, samples: int, truth: Truth, *, rounds: int, neighbours: int
) -> Iterator[NDArray[np.int8]]:
    """The candidates of each round: variants of the one that lost least so far on these samples.

    A variant has the outcomes of that one on 90 % of the samples, and fresh ones on the others. Its truth
    is the same, so whatever it seems to gain is chance. Yields [neighbours, samples].
    """
    best = _fresh(draw, (1, samples), truth)
    for _ in range(rounds):
        fresh = _fresh(draw, (neighbours, samples), truth)
        tried = np.where(draw.random(fresh.shape) < 0.9, best, fresh)
        yield tried
        everything = np.concatenate([best, tried])
        best = everything[[int(np.argmin(everything.sum(axis=1, dtype=np.int64)))]]


def _fresh(draw: np.random.Generator, shape: tuple[int, int], truth: Truth) -> NDArray[np.int8]:
    uniform = draw.random(shape)
    found: NDArray[np.int8] = (uniform < truth.lost).astype(np.int8)
    found -= (uniform > 1 - truth.gained).astype(np.int8)
    return found


SIZES = ((500, 0.02), (2_000, 0.01), (10_000, 0.005), (50_000, 0.002))
"""Validation samples, and the margin that they are asked to decide."""
COUNTS = (1, 6, 24, 48)
CORRELATIONS = (0.0, 0.5, 0.95)


def cases() -> Iterator[tuple[int, float, int, float]]:
    """Samples, margin, candidates and correlation of each row: all at 2,000 samples, else a few."""
    for samples, margin in SIZES:
        whole = samples == 2_000
        for count in COUNTS if whole else (1, 24):
            for rho in (0.0,) if count == 1 else CORRELATIONS if whole else (0.5,):
                yield samples, margin, count, rho


def table(releases: int, *, power: bool) -> Iterator[str]:
    """Markdown: percent of releases that approve a wrong candidate, all being at the margin; or a right one,
    half being right."""
    yield f"| samples | margin | candidates | correlation | {' | '.join(METHODS)} |"
    yield f"{'|---' * (4 + len(METHODS))}|"
    for samples, margin, count, rho in cases():
        wrong = Setting(truths=(at_margin(margin),) * count, samples=samples, rho=rho, margin=margin)
        found = rates(mixed(count, samples, rho, margin) if power else wrong, releases=releases)
        cells = [f"{100 * (each.right if power else each.false):.1f}" for each in found.values()]
        shown = f"{rho:g}" if count > 1 else ""
        yield f"| {samples:,} | {100 * margin:g} | {count} | {shown} | {' | '.join(cells)} |"


def plot(path: Path, releases: int) -> None:
    """Draws the power of the methods by the number of samples, for 24 candidates, beside that of one."""
    from matplotlib.figure import Figure

    sizes = (500, 1000, 2000, 4000)
    shown = ("together", "Holm", "search 30 %", "search 50 %", "weights by speed")
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    axes = figure.subplots(1, len(CORRELATIONS), sharey=True)
    alone = [rates(mixed(1, size, 0.0, 0.01), "uncorrected", releases=releases) for size in sizes]
    for axis, rho in zip(axes, CORRELATIONS, strict=True):
        axis.plot(
            sizes, [each["uncorrected"].right for each in alone], "k", linewidth=2, label="one candidate"
        )
        found = [rates(mixed(24, size, rho, 0.01), *shown, releases=releases) for size in sizes]
        for name in shown:
            axis.plot(sizes, [each[name].right for each in found], marker="o", markersize=3, label=name)
        axis.set_title(f"24 candidates, correlation {rho:g}", fontsize=10)
        axis.set_xlabel("validation samples (margin 1 point)")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("releases that approve a right one")
    axes[-1].legend(fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--releases", type=int, default=1000)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    if arguments.plot:
        plot(arguments.plot, arguments.releases)
        return
    for power in (True, False):
        for line in table(arguments.releases, power=power):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()
    found = adaptive_rates(1000, releases=arguments.releases, rounds=12, neighbours=4)
    sys.stdout.write(f"a search that learns: {found}\n")


if __name__ == "__main__":
    main()
