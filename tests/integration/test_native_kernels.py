"""What oneDNN computes wrongly in FP32 is rewritten, and all layouts share the rewritten model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paddle_int8.tasks.algorithms.request import ptq_request
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.artifacts import Candidate
from paddle_int8.tasks.contracts.errors import ModelFormatError
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_with
from paddle_int8.tasks.engines.paddle.switches import BASELINE, NATIVE_FP32, Switches
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.process.isolated import run_isolated
from tests.cpu import EXACT
from tests.integration.small_models import sqnr_db
from tests.integration.small_release import SmallRelease, convert, prepare
from tests.integration.test_quantization import Samples

pytestmark = pytest.mark.paddle

ROUNDING = 1e-4
AGAINST_WRONG_KERNELS = {
    "resample_natively": (
        *("nearest 8 to 12", "nearest 8 to 4", "nearest by a free size", "nearest by one and a half"),
        "nearest with aligned corners",
    ),
    "divide_by_reciprocals": ("divide [1] first", "mean divided", "maximum divided"),
    "subtract_logarithms": ("logarithms of likelihoods",),
    "compute_wrong_kernels_natively": (
        *("average beyond the edge", "average of uneven padding", "clip by tensors"),
        *("average of padding alone", "average of a window larger than the picture"),
        *("softplus with a low threshold", "padded batch"),
        *("absolute value without dimensions", "mean without dimensions halved"),
    ),
    "order_operands": ("product of a convolution", "product of a pooling"),
    "separate_second_activations": ("two activations", "absolute value of an activation"),
    "give_scalars_a_dimension": ("constant without dimensions",),
}
"""By rewrite, graphs that oneDNN gets wrong without it."""
UNTOUCHED = ("nearest 8 to 16", "nearest 8 to 24", "nearest 8 to 8", "nearest by three", "divide [1] second")
UNTOUCHED += ("average within the edge", "one activation", "multiply [1] first")
SAMPLES, SIDE = 64, 32


@dataclass(frozen=True)
class Outcome:
    """The outcome of one graph: its repairs, and the prepared model's difference from native kernels, as a
    fraction of the greatest value."""

    difference: float
    repairs: dict[str, int]


def run_all(folder: Path) -> dict[str, Outcome]:
    """Runs in an isolated process."""
    from tests.integration import wrong_kernels

    return {name: _outcome(name, folder / str(place)) for place, name in enumerate(wrong_kernels.CASES)}


def _outcome(name: str, folder: Path) -> Outcome:
    from tests.integration import wrong_kernels

    exact = wrong_kernels.export(name, folder / "exported")
    prepared = prepare_model(find_model(ModelFiles(path=folder / "exported")), folder / "prepared")
    predictor = open_predictor(spec_of(folder / "prepared", BASELINE, 1))
    (found,) = predictor.run(wrong_kernels.feed(wrong_kernels.CASES[name][0]))
    assert found.shape == exact.shape
    return Outcome(float(np.abs(found - exact).max() / np.abs(exact).max()), prepared.repairs)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    folder = tmp_path_factory.mktemp("wrong_kernels")
    return run_isolated(run_all, folder, step="cases", log=folder / "log.txt", timeout_s=300)


def test_every_graph_on_onednn_answers_as_paddle_s_own_kernels(outcomes: dict[str, Outcome]) -> None:
    assert len(outcomes) > 80
    assert {name: found for name, found in outcomes.items() if not found.difference <= ROUNDING} == {}


@pytest.mark.parametrize("rewrite", AGAINST_WRONG_KERNELS)
def test_rewrite_against_a_wrong_kernel_matches_its_graphs(
    outcomes: dict[str, Outcome], rewrite: str
) -> None:
    assert [name for name in AGAINST_WRONG_KERNELS[rewrite] if outcomes[name].repairs[rewrite] != 1] == []


@pytest.mark.parametrize("name", UNTOUCHED)
def test_graph_that_onednn_computes_rightly_stays_as_it_is(outcomes: dict[str, Outcome], name: str) -> None:
    repairs = outcomes[name].repairs
    assert {rewrite: repairs[rewrite] for rewrite in AGAINST_WRONG_KERNELS if repairs[rewrite]} == {}


def far_apart(folder: Path) -> dict[str, float]:
    """The greatest error of logarithms of likelihoods, by engine. Runs in an isolated process."""
    from tests.integration import wrong_kernels

    wrong_kernels.export(wrong_kernels.FAR_APART, folder / "exported")
    prepare_model(find_model(ModelFiles(path=folder / "exported")), folder / "prepared")
    errors = {}
    for engine, switches in (("native", NATIVE_FP32), ("onednn", BASELINE)):
        predictor = open_predictor(spec_of(folder / "prepared", switches, 1))
        (answer,) = predictor.run(wrong_kernels.feed(wrong_kernels.SIDE))
        scores, logarithms = np.split(answer.astype("float64"), 2, axis=1)
        exact = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
        assert exact.min() < -100
        errors[engine] = float(np.abs(logarithms - exact).max())
    return errors


def test_logarithms_of_small_likelihoods_are_not_cut_off(tmp_path: Path) -> None:
    errors = run_isolated(far_apart, tmp_path, step="far apart", log=tmp_path / "log.txt", timeout_s=120)
    assert max(errors.values()) < 1e-3, errors


def last_operators(folder: Path) -> dict[str, str]:
    """By output, the operator that computes it in the prepared model. Runs in an isolated process."""
    from paddle_int8.tasks.engines.paddle.ends import ends
    from tests.integration import wrong_kernels

    wrong_kernels.export("logarithms of likelihoods", folder / "exported")
    source = find_model(ModelFiles(path=folder / "exported"))
    prepare_model(source, folder / "prepared")
    return ends(find_model(ModelFiles(path=folder / "prepared")).program).operators


def test_rewritten_log_softmax_still_ends_a_classifier(tmp_path: Path) -> None:
    found = run_isolated(last_operators, tmp_path, step="ends", log=tmp_path / "log.txt", timeout_s=120)
    assert set(found.values()) == {"log_softmax"}


def halve_and_release(release: SmallRelease, folder: Path) -> dict[str, tuple[float, float]]:
    """By layout, the share of a network's own answers that is kept, and SQNR. Runs in an isolated process."""
    exact = _export_halvings(folder / "exported")
    model = prepare(folder)
    found = {"baseline": _kept(folder / "fp32", BASELINE, exact)}
    for layout in EXACT:
        request = ptq_request(
            model=model,
            calibration=release.validation,
            candidate=Candidate(algorithm="avg", layout=layout),
            config=QuantizationConfig(),
            batch_size=8,
            folder=folder / f"quantized_{layout}",
        )
        request.folder.mkdir()
        quantize_with(request, Samples({"image": _pictures()}))
        convert(request.folder, folder / layout, layout)
        found[layout] = _kept(folder / layout, LAYOUTS.find(layout).switches, exact)
    return found


def _export_halvings(folder: Path) -> Any:
    """Returns the native answers to `_pictures`."""
    import paddle
    from paddle import nn

    from tests.integration.networks import Halvings

    paddle.seed(0)
    network = Halvings()
    for part in network.sublayers():
        if isinstance(part, nn.Conv2D):
            nn.initializer.KaimingNormal()(part.weight)
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])
    return network(paddle.to_tensor(_pictures())).numpy()


def _pictures() -> Any:
    rng = np.random.default_rng(0)
    return rng.standard_normal((SAMPLES, 3, SIDE, SIDE)).astype("float32")


def _kept(folder: Path, switches: Switches, exact: Any) -> tuple[float, float]:
    (found,) = open_predictor(spec_of(folder, switches, 1)).run({"image": _pictures()})
    return float(np.mean(found.argmax(1) == exact.argmax(1))), sqnr_db(exact, found)


def test_network_with_nearest_halvings_keeps_its_answers_in_baseline_and_layouts(
    small_release: SmallRelease, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    found = run_isolated(halve_and_release, small_release, tmp_path, step="halve", log=log, timeout_s=200)
    kept, sqnr = found.pop("baseline")
    assert kept == 1.0
    assert sqnr > 100
    assert {layout: kept for layout, (kept, _) in found.items() if kept < 0.9} == {}
    assert {layout: sqnr for layout, (_, sqnr) in found.items() if sqnr < 15} == {}


def name_what_the_model_lacks(folder: Path) -> None:
    from tests.integration import wrong_kernels

    wrong_kernels.export("nearest 8 to 16", folder / "exported")
    source = find_model(ModelFiles(path=folder / "exported"))
    prepare_model(source, folder / "prepared", native_ops=("conv2d", "nearest"))


def test_native_ops_that_the_model_lacks_are_named_with_those_it_has(tmp_path: Path) -> None:
    with pytest.raises(ModelFormatError) as raised:
        run_isolated(name_what_the_model_lacks, tmp_path, step="name", log=tmp_path / "log", timeout_s=60)
    assert "names nearest, which" in raised.value.found
    assert "nearest_interp_v2" in raised.value.required
