"""Models with several sequence inputs and no recurrent operator, from the documented source to evidence."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.data import DataConfig, Preprocessing
from paddle_int8.tasks.config.quantization import QatConfig, QuantizationConfig
from paddle_int8.tasks.config.validation import ValidationConfig
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    HostProfile,
)
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.data.dataset import draw_dataset
from paddle_int8.tasks.data.reader import BatchReader
from paddle_int8.tasks.data.sources.callable import CallableSource
from paddle_int8.tasks.engines.paddle.quantization.finetune import FinetuneRequest, finetune_model
from paddle_int8.tasks.engines.paddle.quantization.recurrent import quantize_recurrent
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration import click_model
from tests.integration.small_release import SLIM, SmallRelease, deployable, measured, prepare
from tests.integration.small_sequences import artifact

pytestmark = pytest.mark.paddle
isolated = partial(run_isolated, step="test", timeout_s=200)


def build(folder: Path, layer_per_step: bool) -> SmallRelease:
    """Runs in an isolated process."""
    click_model.export(folder / "exported", layer_per_step=layer_per_step)
    model = prepare(folder)
    as_is = Preprocessing(layout="as_is", dtype="as_is")
    sources = {
        name: CallableSource(
            kind="callable",
            function="tests.integration.click_model:samples",
            arguments={"count": click_model.SAMPLES, "seed": seed, "labelled": True},
        )
        for name, seed in (("calibration", 1), ("validation", 2))
    }
    config = DataConfig(**sources, preprocessing=as_is)
    drawn = {}
    for name, source in sources.items():
        (folder / name).mkdir()
        drawn[name] = artifact(
            draw_dataset(source, None, config, model.inputs, folder / name, name), folder / name
        )
    deployables = {
        layout: deployable(folder, model, drawn["calibration"], layout, algorithm="hist") for layout in SLIM
    }
    return SmallRelease(model=model, validation=drawn["validation"], deployables=deployables)


@pytest.fixture(scope="module", params=[False, True], ids=["bags", "layer on each step"])
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    folder = tmp_path_factory.mktemp("click")
    return isolated(build, folder, request.param, log=folder / "log.txt")


def test_dict_of_lists_of_arrays_is_drawn_as_the_sequences_that_it_holds(release: SmallRelease) -> None:
    inputs, labels = click_model.samples(click_model.SAMPLES, seed=2)
    reader = BatchReader(release.validation, release.model.inputs)
    (batch,) = reader.batches(click_model.SAMPLES)
    for name in ("words", "tags"):
        lengths = batch[f"{name}.lengths"]
        assert lengths.tolist() == [len(each) for each in inputs[name]]
        for row, length, given in zip(batch[name], lengths, inputs[name], strict=True):
            np.testing.assert_array_equal(row[:length], given)
    np.testing.assert_array_equal(batch["profile"], inputs["profile"])
    np.testing.assert_array_equal(reader.labels, labels)


def refused(function: Callable[[Any], object], asked: object, folder: Path) -> QuantizationError:
    with pytest.raises(QuantizationError) as error:
        isolated(function, asked, log=folder / "log.txt")
    return error.value


def test_click_model_is_refused_by_the_recurrent_layout_and_its_remedy_works(
    release: SmallRelease, tmp_path: Path
) -> None:
    """`release` was built with the layouts that the remedy names."""
    asked = ptq_request(
        model=release.model,
        calibration=release.validation,
        candidate=Candidate(algorithm="hist", layout="recurrent"),
        config=QuantizationConfig(),
        batch_size=8,
        folder=tmp_path,
    )
    named = re.findall(r"`(\w+)`", refused(quantize_recurrent, asked, tmp_path).remedy)
    assert release.deployables.keys() == set(named)


def test_training_on_sequences_is_refused_and_leads_to_post_training(
    release: SmallRelease, tmp_path: Path
) -> None:
    asked = FinetuneRequest(
        model=release.model,
        data=release.validation,
        config=QatConfig(data=CallableSource(kind="callable", function="a:b")),
        op_types=("mul",),
        skip_tensors=(),
        keep_fp32=(),
        weight_quantize_type="abs_max",
        folder=tmp_path,
        checkpoint=tmp_path / "checkpoint",
    )
    assert "words, tags" in refused(finetune_model, asked, tmp_path).found


@pytest.mark.parametrize("layout", ["offline", "qdq"])
def test_click_model_is_quantized_and_measured_on_its_sequences(
    release: SmallRelease, host: HostProfile, tmp_path: Path, layout: str
) -> None:
    config = ValidationConfig(metrics=("agreement",), repeats=20, warmup=2, processes=2)
    found = measured(release, layout, tmp_path, isa=host.isa, config=config)
    assert found.audit.int8_primitives == found.audit.compute_primitives >= 3
    assert found.audit.outside_onednn == 0
    assert found.simulation is not None
    assert found.sqnr_db > 10
    assert found.metrics[0].candidate > 0.9
