"""Each graph rewrite matches what it should, and leaves the FP32 outputs as they were."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.engines.paddle.rewrites.repairs import REWRITES
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration import small_models as models
from tests.integration.rewritten import rewrite_each
from tests.integration.smallest.rewritten import REWRITTEN as REPAIRED
from tests.integration.test_native_kernels import AGAINST_WRONG_KERNELS
from tests.integration.test_networks import REWRITTEN
from tests.patience import allowed

pytestmark = pytest.mark.paddle

RELATIVE_TOLERANCE = 1e-5
MATCHES = {
    "mark_inference": {
        "mobilenet_v1": 28,
        "resnet18": 22,
        "vgg": 6,
        "square": 2,
        "plain": 2,
        "encoder": 7,
        "scaled": 5,
    },
    "fold_convolution_bias": {"vgg": 2, "square": 1, "encoder": 1, "scaled": 4},
    "remove_inference_dropout": {"vgg": 2, "plain": 1},
    "remove_identity_pooling": {"mobilenet_v1": 1, "resnet18": 1, "vgg": 1},
    "keep_uneven_pooling_fp32": {"vgg": 1},
    "keep_attention_scores_fp32": {"encoder": 2},
    "keep_normalised_sums_fp32": {"encoder": 4},
    "fold_factors_before_layers": {"scaled": 1},
    "keep_scale_factors": {"scaled": 3},
}


@dataclass(frozen=True)
class Rewritten:
    """What each rewrite made of one model: see `rewrite_each`. `outputs` are in FP32, by folder."""

    found: dict[str, tuple[int, Path]]
    outputs: dict[Path, np.ndarray]


def rewrite_all(root: Path, target: Path) -> dict[str, Rewritten]:
    """By exported model."""
    made = {}
    for name in models.EXPORTED:
        found = rewrite_each(models.source(root / name), target / name)
        folders = tuple({folder for _, folder in found.values()})
        outputs = models.predict_native(folders)
        made[name] = Rewritten(found, dict(zip(folders, outputs, strict=True)))
    return made


def mark_what_lacks_the_attribute(folder: Path) -> tuple[int, int]:
    """Operators that lost `is_test`, which those of old programs lack, and operators that were marked."""
    from paddle_int8.tasks.engines.paddle.program import load_program
    from paddle_int8.tasks.engines.paddle.rewrites.repairs import mark_inference

    loaded = load_program(models.source(folder))
    marked = [op for op in loaded.program.global_block().ops if op.has_attr("is_test")]
    for op in marked:
        op._remove_attr("is_test")
    return len(marked), mark_inference(loaded)


def fold_factors_of_old_programs(folder: Path) -> int:
    """Programs of Paddle 1 have no slot for a factor that is computed."""
    from paddle_int8.tasks.engines.paddle.program import load_program
    from paddle_int8.tasks.engines.paddle.rewrites.affine import fold_factors_before_layers

    loaded = load_program(models.source(folder))
    for op in loaded.program.global_block().ops:
        if op.type == "scale":
            op.desc.remove_input("ScaleTensor")
    return fold_factors_before_layers(loaded)


@pytest.fixture(scope="module")
def root() -> Path:
    return models.build()


@pytest.fixture(scope="module")
def rewritten(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rewritten]:
    target = tmp_path_factory.mktemp("rewritten")
    return run_isolated(
        rewrite_all, root, target, step="rewrite", log=target / "log.txt", timeout_s=allowed(120)
    )


@pytest.fixture(scope="module")
def native(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """FP32 outputs of the exported models."""
    folders = tuple(root / name for name in models.EXPORTED)
    log = tmp_path_factory.mktemp("native") / "log.txt"
    outputs = run_isolated(models.predict_native, folders, step="run", log=log, timeout_s=120)
    return dict(zip(models.EXPORTED, outputs, strict=True))


def test_every_rewrite_has_expectations() -> None:
    elsewhere = {name for matches in REWRITTEN.values() for name in matches}
    elsewhere |= {rewrite for rewrite, _ in REPAIRED.values()} | set(AGAINST_WRONG_KERNELS)
    assert {rewrite.name for rewrite in REWRITES} == MATCHES.keys() | elsewhere


@pytest.mark.parametrize("name", [rewrite.name for rewrite in REWRITES])
def test_rewrite_matches_only_where_it_should(rewritten: dict[str, Rewritten], name: str) -> None:
    matches = {model: made.found[name][0] for model, made in rewritten.items()}
    assert {model: count for model, count in matches.items() if count} == MATCHES.get(name, {})


@pytest.mark.parametrize("name", [rewrite.name for rewrite in REWRITES])
def test_rewrite_keeps_fp32_outputs(
    rewritten: dict[str, Rewritten], native: dict[str, np.ndarray], name: str
) -> None:
    for model, before in native.items():
        _, folder = rewritten[model].found[name]
        after = rewritten[model].outputs[folder]
        assert np.abs(before - after).max() <= RELATIVE_TOLERANCE * np.abs(before).max(), model


def test_all_rewrites_together_keep_onednn_outputs(
    root: Path, native: dict[str, np.ndarray], tmp_path: Path
) -> None:
    folders = tuple(root / f"{name}_fp32" for name in models.QUANTIZED)
    after = run_isolated(models.predict_onednn, folders, step="run", log=tmp_path / "log.txt", timeout_s=120)
    for name, outputs in zip(models.QUANTIZED, after, strict=True):
        assert np.abs(native[name] - outputs).max() <= 1e-4 * np.abs(native[name]).max()


def test_repaired_vgg_has_no_operator_that_keeps_it_fp32(root: Path, tmp_path: Path) -> None:
    folder = root / "vgg_offline"
    types = run_isolated(models.operator_types, folder, step="types", log=tmp_path / "log.txt", timeout_s=60)
    assert not {"elementwise_add", "relu", "dropout", "reshape2", "fusion_repeated_fc_relu"} & set(types)


def test_mark_inference_adds_the_attribute_where_old_programs_lack_it(root: Path, tmp_path: Path) -> None:
    lost, marked = run_isolated(
        mark_what_lacks_the_attribute, root / "plain", step="mark", log=tmp_path / "log", timeout_s=120
    )
    assert marked == lost > 0


def test_factors_of_old_programs_are_folded(root: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    folded = run_isolated(fold_factors_of_old_programs, root / "scaled", step="fold", log=log, timeout_s=60)
    assert folded == MATCHES["fold_factors_before_layers"]["scaled"]
