"""A predictor that any number of threads may use. A stand-in replaces its model."""

from __future__ import annotations

import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import pytest

from paddle_int8.tasks.contracts.arrays import Array, Feed
from paddle_int8.tasks.engines.paddle.serving import Predictor, SharedPredictor


class Model:
    """Holds a batch between its copy in and its copy out, as Paddle's handles do, and counts its threads."""

    input_names, output_names = ("x",), ("y",)

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.held: Any = None

    def run(self, feeds: Feed) -> list[Array]:
        self.threads.add(threading.get_ident())
        self.held = feeds["x"]
        time.sleep(0.0005)
        if self.held is None:
            raise ValueError("holds no sample")
        return [self.held]


def shared(model: Model) -> SharedPredictor:
    return SharedPredictor(lambda: cast(Predictor, model))


def test_requests_of_several_threads_get_their_own_answers_from_one_thread() -> None:
    model = Model()
    predictor = shared(model)
    batches = [np.full(1 + place % 7, place) for place in range(400)]
    with ThreadPoolExecutor(8) as clients:
        answers = list(clients.map(lambda batch: predictor.run({"x": batch})[0], batches))
    assert all(map(np.array_equal, answers, batches))
    assert len(model.threads) == 1


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


def test_dropped_predictor_ends_its_thread() -> None:
    before = set(threading.enumerate())
    predictor = shared(Model())
    (own,) = set(threading.enumerate()) - before
    del predictor
    gc.collect()
    own.join()


def test_predictor_in_a_forked_process_says_so_instead_of_waiting() -> None:
    predictor = shared(Model())
    if (child := os.fork()) == 0:
        try:
            predictor.run({"x": np.ones(1)})
        except RuntimeError as error:
            os._exit(7 if "forked" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
