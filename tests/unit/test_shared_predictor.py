"""A predictor that any number of threads may use. A stand-in replaces its model."""

from __future__ import annotations

import gc
import os
import sys
import threading
import time
import types
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.engines.paddle import serving
from paddle_int8.tasks.engines.paddle.serving import Predictor, SharedPredictor


class Model:
    """Holds a batch between its copy in and its copy out, as Paddle's handles do, and counts its threads."""

    input_names, output_names = ("x",), ("y",)

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.others: list[Model] = []
        self.held: Any = None

    def another(self) -> Model:
        self.others.append(Model())
        return self.others[-1]

    def run(self, feeds: Feed) -> list[Array]:
        self.threads.add(threading.get_ident())
        self.held = feeds["x"]
        time.sleep(0.0005)
        if self.held is None:
            raise ValueError("holds no sample")
        return [self.held]


def shared(model: Model, predictors: int = 1) -> SharedPredictor:
    return SharedPredictor(lambda: cast(Predictor, model), predictors)


def test_requests_of_several_threads_get_their_own_answers_from_one_thread() -> None:
    model = Model()
    predictor = shared(model)
    batches = [np.full(1 + place % 7, place) for place in range(400)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda batch: predictor.run({"x": batch})[0], batches))
    assert all(map(np.array_equal, answers, batches))
    assert len(model.threads) == 1


def test_several_predictors_answer_side_by_side_each_in_a_thread_of_its_own() -> None:
    model = Model()
    predictor = shared(model, 3)
    batches = [np.full(1 + place % 7, place) for place in range(400)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda batch: predictor.run({"x": batch})[0], batches))
    assert all(map(np.array_equal, answers, batches))
    threads = [each.threads for each in (model, *model.others)]
    assert [len(each) for each in threads] == [1, 1, 1]
    assert len(set().union(*threads)) == 3


def test_error_of_a_batch_is_its_callers_and_the_next_is_answered() -> None:
    predictor = shared(Model())
    with pytest.raises(ValueError, match="holds no sample"):
        predictor.run(cast(Feed, {"x": None}))
    assert predictor.run({"x": np.ones(1)})[0].tolist() == [1]


def test_error_of_opening_is_raised_where_it_is_opened() -> None:
    def missing() -> Predictor:
        raise FileNotFoundError("model.pdmodel")

    with pytest.raises(FileNotFoundError, match=r"model\.pdmodel"):
        SharedPredictor(missing)


@pytest.mark.parametrize("predictors", [1, 3])
def test_dropped_predictor_ends_its_threads(predictors: int) -> None:
    before = set(threading.enumerate())
    predictor = shared(Model(), predictors)
    own = set(threading.enumerate()) - before
    assert len(own) == predictors
    del predictor
    gc.collect()
    for thread in own:
        thread.join()


def test_predictor_is_dropped_with_its_thread_and_not_kept_by_those_cloned_from_it() -> None:
    model = Model()
    dropped = weakref.ref(model)
    predictor = shared(model, 2)
    del model
    gc.collect()
    assert dropped() is not None
    threads = [thread for thread in threading.enumerate() if thread.name == "predictor"]
    del predictor
    gc.collect()
    for thread in threads:
        thread.join()
    assert dropped() is None


def test_number_of_predictors_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        serving, "SharedPredictor", lambda open_predictor, predictors: asked.append(predictors)
    )
    monkeypatch.setitem(sys.modules, "paddle", types.ModuleType("paddle"))
    for given in (None, 2):
        for variable in ("", "4"):
            monkeypatch.setenv(serving.PREDICTORS, variable)
            serving.open_bundle(Path("bundle"), predictors=given)
    assert asked == [1, 4, 2, 2]


def test_predictor_in_a_forked_process_says_so_instead_of_waiting() -> None:
    predictor = shared(Model())
    if (child := os.fork()) == 0:
        try:
            predictor.run({"x": np.ones(1)})
        except RuntimeError as error:
            os._exit(7 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
