"""A served model gives every request its own answer, from any thread, in any batch, after any error."""

from __future__ import annotations

import functools
import gc
import resource
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.serving import SharedPredictor
from paddle_int8.tasks.engines.paddle.switches import BASELINE, QDQ, QUANTIZED, RECURRENT, Switches
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.small_release import SmallRelease, pictures
from tests.integration.small_release import build as build_release
from tests.integration.small_sequences import WORDS, SmallTaggers, build

pytestmark = pytest.mark.paddle
THREADS, REQUESTS = 8, 50
SIZES = (1, 2, 3, 5, 7, 16, 17, 33)
ALONE = 1e-4
"""Greatest difference to the answer of batch 1, as a share of the largest value: sums in another order."""
isolated = functools.partial(run_isolated, step="serve", timeout_s=300)


@pytest.fixture(scope="module")
def taggers(tmp_path_factory: pytest.TempPathFactory) -> SmallTaggers:
    folder = tmp_path_factory.mktemp("taggers")
    return run_isolated(build, folder, step="build", log=folder / "build.log", timeout_s=300)


def picture_batches(count: int) -> list[Feed]:
    samples = pictures()
    return [{"image": np.roll(samples, place, axis=0)[: SIZES[place % len(SIZES)]]} for place in range(count)]


def sentence_batches(count: int) -> list[Feed]:
    random = np.random.default_rng(0)
    lengths = [random.integers(1, 40, SIZES[place % len(SIZES)]) for place in range(count)]
    return [
        {"words": random.integers(0, WORDS, (len(each), each.max(), 1)), f"words{LENGTHS}": each}
        for each in lengths
    ]


def batches_of(switches: Switches, count: int) -> list[Feed]:
    return (sentence_batches if switches.length_buckets else picture_batches)(count)


def answered_by_threads(
    folder: Path, switches: Switches, predictors: int, omp_threads: int
) -> tuple[int, int]:
    """How many requests of several threads at once get the answers that they get alone, of how many."""
    feeds, spec = batches_of(switches, THREADS * REQUESTS), spec_of(folder, switches, omp_threads)
    alone = open_predictor(spec)
    wanted = [alone.run(feed)[0].copy() for feed in feeds]
    shared = SharedPredictor(lambda: open_predictor(spec), predictors)
    start = threading.Barrier(THREADS)

    def client(first: int) -> list[Array]:
        start.wait()
        return [shared.run(feed)[0] for feed in feeds[first : first + REQUESTS]]

    with ThreadPoolExecutor(THREADS) as clients:
        parts = clients.map(client, range(0, len(feeds), REQUESTS))
        found = [answer for part in parts for answer in part]
    return sum(map(np.array_equal, found, wanted)), len(feeds)


@pytest.mark.parametrize(("predictors", "omp_threads"), [(1, 1), (1, 2), (2, 1), (4, 2)])
@pytest.mark.parametrize("layout", ["offline", "qdq", "recurrent"])
def test_requests_of_eight_threads_get_the_answers_that_they_get_alone(
    small_release: SmallRelease,
    taggers: SmallTaggers,
    layout: str,
    predictors: int,
    omp_threads: int,
    tmp_path: Path,
) -> None:
    release = taggers.gru if layout == "recurrent" else small_release
    folder = Path(release.deployables[layout].folder)
    right, requests = isolated(
        answered_by_threads,
        folder,
        LAYOUTS.find(layout).switches,
        predictors,
        omp_threads,
        log=tmp_path / "log",
    )
    assert right == requests == THREADS * REQUESTS


@pytest.mark.parametrize("layout", ["offline", "qdq", "recurrent"])
def test_predictors_side_by_side_are_right_while_kernels_are_given_up(
    small_release: SmallRelease, taggers: SmallTaggers, layout: str, tmp_path: Path
) -> None:
    """The cache is the process's: one predictor's new shape takes kernels away that another one uses."""
    release = taggers.gru if layout == "recurrent" else small_release
    folder = Path(release.deployables[layout].folder)
    switches = replace(LAYOUTS.find(layout).switches, onednn_cache_capacity=2)
    right, requests = isolated(answered_by_threads, folder, switches, 3, 1, log=tmp_path / "log")
    assert right == requests == THREADS * REQUESTS


def served_in_passing_threads(folder: Path) -> bool:
    """One request after another, each in a thread that ends with it, and two models that are dropped."""
    spec = spec_of(folder, RECURRENT, 1)
    feeds = sentence_batches(40)
    alone = open_predictor(spec)
    wanted = [alone.run(feed)[0].copy() for feed in feeds]
    for _ in range(3):
        shared, found = SharedPredictor(lambda: open_predictor(spec)), []
        for feed in feeds:
            with ThreadPoolExecutor(1) as passing:
                found.append(passing.submit(shared.run, feed).result()[0])
        assert all(map(np.array_equal, found, wanted))
        del shared
        gc.collect()
    return all(np.array_equal(alone.run(feed)[0], right) for feed, right in zip(feeds, wanted, strict=True))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_recurrent_model_is_served_from_threads_that_come_and_go(
    taggers: SmallTaggers, kind: str, tmp_path: Path
) -> None:
    """Run in the caller's thread, with a lock or without: "could not execute a primitive"."""
    release: SmallRelease = getattr(taggers, kind)
    folder = Path(release.deployables["recurrent"].folder)
    assert isolated(served_in_passing_threads, folder, log=tmp_path / "log")


def answered_by_few_kernels(folder: Path, switches: Switches) -> bool:
    """Whether shapes whose kernels were given up, and are built anew, get the answers they got before."""
    feeds, spec = picture_batches(len(SIZES)), spec_of(folder, switches, 1)
    wanted = [open_predictor(spec).run(feed)[0].copy() for feed in feeds]
    few = open_predictor(replace(spec, switches=replace(spec.switches, onednn_cache_capacity=2)))
    return all(
        np.array_equal(few.run(feed)[0], right)
        for _ in range(3)
        for feed, right in zip(feeds, wanted, strict=True)
    )


@pytest.mark.parametrize("switches", [BASELINE, QUANTIZED, QDQ])
def test_kernels_that_were_given_up_are_built_anew(
    small_release: SmallRelease, switches: Switches, tmp_path: Path
) -> None:
    deployables = {
        LAYOUTS.find(layout).switches: each.folder for layout, each in small_release.deployables.items()
    }
    folder = Path(deployables.get(switches, small_release.model.folder))
    assert isolated(answered_by_few_kernels, folder, switches, log=tmp_path / "log")


def grown_mib(folder: Path) -> float:
    """Memory that the third round of 300 picture sizes takes beyond what the second one had."""
    predictor = open_predictor(spec_of(folder, LAYOUTS.find("offline").switches, 1))
    picture = pictures()[:1]
    held = []
    for _ in range(3):
        for place in range(300):
            predictor.run(
                {"image": np.resize(picture, (1, 3, 32 + 2 * (place // 18), 32 + 2 * (place % 18)))}
            )
        held.append(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
    return (held[2] - held[1]) / 2**20


def test_memory_grows_with_the_number_of_picture_sizes_and_not_with_that_of_calls(tmp_path: Path) -> None:
    """With oneDNN's own cache of 1,024 primitives each round took more, on CPUs with `brgemm` kernels."""
    release = isolated(build_release, tmp_path, None, ("offline",), log=tmp_path / "log")
    assert isolated(grown_mib, Path(release.deployables["offline"].folder), log=tmp_path / "log") < 2


def refused(folder: Path) -> tuple[list[str], bool]:
    """What bad batches are told, and whether the same predictors answer the next one as before."""
    spec, good, said = spec_of(folder, QDQ, 1), picture_batches(1)[0], []
    own, shared = open_predictor(spec), SharedPredictor(lambda: open_predictor(spec))
    wanted, alike = own.run(good)[0].copy(), True
    bad = [{"image": good["image"][:0]}, {}, {"image": good["image"][:, :2]}]
    for predictor in (own, shared):
        for feed in bad:
            with pytest.raises((ValueError, RuntimeError)) as error:
                predictor.run(feed)
            said.append(str(error.value))
            alike &= np.array_equal(predictor.run(good)[0], wanted)
    with ThreadPoolExecutor(1) as other, pytest.raises(RuntimeError) as error:
        other.submit(own.run, good).result()
    said.append(str(error.value))
    return said, alike


def test_bad_batches_are_refused_and_the_next_is_answered(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    folder = Path(small_release.deployables["qdq"].folder)
    said, alike = isolated(refused, folder, log=tmp_path / "log")
    assert alike
    for texts in (said[:3], said[3:6]):
        assert texts[0] == "input image of shape (0, 3, 32, 32) holds no sample: give at least one"
        assert texts[1] == "inputs image are missing; the model takes image"
    assert "opened in another thread" in said[6]


def each_alone(folder: Path, switches: Switches) -> dict[int, float]:
    """Greatest difference of rows to their answers alone, as a share of the largest value, by batch size."""
    predictor = open_predictor(spec_of(folder, switches, 1))
    worst = {}
    for feed in batches_of(switches, len(SIZES)):
        size = len(next(iter(feed.values())))
        together = predictor.run(feed)[0]
        for row in range(size):
            single = {name: values[row : row + 1] for name, values in feed.items()}
            if f"words{LENGTHS}" in feed:
                single["words"] = single["words"][:, : single[f"words{LENGTHS}"][0]]
            (alone,) = predictor.run(single)[0]
            differs = np.abs(together[row][: len(alone)] - alone).max() / np.abs(together).max()
            worst[size] = max(worst.get(size, 0.0), float(differs))
    return worst


@pytest.mark.parametrize("layout", ["offline", "qdq", "recurrent"])
def test_batches_of_any_size_answer_as_each_sample_alone(
    small_release: SmallRelease, taggers: SmallTaggers, layout: str, tmp_path: Path
) -> None:
    release = taggers.lstm if layout == "recurrent" else small_release
    folder = Path(release.deployables[layout].folder)
    worst = isolated(each_alone, folder, LAYOUTS.find(layout).switches, log=tmp_path / "log")
    assert set(worst) == set(SIZES)
    assert max(worst.values()) < ALONE, worst
