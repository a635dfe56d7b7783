"""Shows where each algorithm wins: INT8's signal and drop on small models of the demo's digits.

    python -m benchmarks.algorithms [--only hist adaround ...]

Two models are trained: a MobileNet-V1 of a quarter of the width, and an encoder whose norms are in front of
its layers. Two more are the same, made unequal in range without a change of FP32's answers. Between two
convolutions each channel has a factor between 1/30 and 30, and weights have one scale a tensor. Behind each
norm three of 64 channels are 60 times as large. INT8 runs in the layout `qdq` on 1,000 digits, and is
calibrated with 64 others.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.algorithms import ALGORITHMS
from paddle_int8.tasks.algorithms.request import observed_for, ptq_request
from paddle_int8.tasks.algorithms.section import own_section
from paddle_int8.tasks.config.data import Preprocessing
from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.config.quantization import QuantizationConfig
from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import (
    Candidate,
    DatasetArtifact,
    ModelArtifact,
    ObservedArtifact,
)
from paddle_int8.tasks.contracts.stored_path import StoredPath
from paddle_int8.tasks.contracts.vocabulary import Observed
from paddle_int8.tasks.engines.engine import Predictor
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.layouts import LAYOUTS
from paddle_int8.tasks.process.isolated import run_isolated

SIDE, WIDTH, EPOCHS, BATCH = 32, 64, 8, 32
CALIBRATION, DIGITS, LAYOUT = 64, 1000, "qdq"
DECADES, OUTLIERS, OUTLIER = 1.5, 3, 60.0
TIME_LIMIT_S = 3600.0
ONE_SCALE = "MobileNet-V1, unequal channels, one scale a weight"
MODELS = ("MobileNet-V1", ONE_SCALE, "encoder", "encoder, outlier channels")


@dataclass(frozen=True, slots=True)
class Found:
    sqnr_db: float
    drop_pp: float


def train_mobilenet(folder: Path) -> None:
    from paddle_int8.zoo.digits import train_mobilenet_v1

    train_mobilenet_v1(folder, lambda done, total, note: None, scale=0.25, side=SIDE)


def train_encoder(folder: Path) -> None:
    import paddle
    from paddle import nn

    class Encoder(nn.Layer):  # type: ignore[misc]  # Paddle has no types
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2D(3, WIDTH, 4, 4)
            layer = nn.TransformerEncoderLayer(
                WIDTH, 4, 2 * WIDTH, dropout=0.0, activation="gelu", normalize_before=True
            )
            self.encoder, self.answers = nn.TransformerEncoder(layer, 2), nn.Linear(WIDTH, 10)
            self.places = self.create_parameter([1, (SIDE // 4) ** 2, WIDTH])

        def forward(self, image: Any) -> Any:
            rows = self.patches(image).flatten(2).transpose([0, 2, 1]) + self.places
            return self.answers(self.encoder(rows).mean(axis=1))

    paddle.disable_static()
    paddle.seed(0)
    network, (pictures, labels) = Encoder(), samples("train")
    steps = EPOCHS * (len(labels) // BATCH)
    rate = paddle.optimizer.lr.OneCycleLR(2e-3, total_steps=steps, phase_pct=0.2)
    optimizer = paddle.optimizer.AdamW(rate, parameters=network.parameters())
    random = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = random.permutation(len(labels))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            answers = network(paddle.to_tensor(pictures[rows]))
            loss = nn.functional.cross_entropy(answers, paddle.to_tensor(labels[rows]))
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
            rate.step()
    network.eval()
    spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])


def samples(split: str) -> tuple[Array, Array]:
    """The digits of a split, [N, 3, SIDE, SIDE] float32 as the demo prepares them, and their labels."""
    from paddle_int8.tasks.data.preprocessing import frame_array, normalise
    from paddle_int8.zoo.digits import digits

    pictures, labels = digits(split)
    steps = Preprocessing(resize=(SIDE, SIDE), scale=1 / 255, mean=(0.5,), std=(0.5,))
    framed = np.stack([frame_array(picture, steps) for picture in pictures])
    return normalise(framed, steps).astype(np.float32), labels


def unequal_channels(folder: Path, target: Path) -> None:
    """Plants a factor for each channel between two layers."""
    from paddle_int8.tasks.engines.paddle.blocks import overwrite, value
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.batch_norms import fold_batch_norms
    from paddle_int8.tasks.engines.paddle.rewrites.equalisation import divide, pairs_of

    loaded, random = load_program(find_model(ModelFiles(path=folder))), np.random.default_rng(0)
    fold_batch_norms(loaded)
    for pair in pairs_of(loaded.program.global_block()):
        names = [name for name in (pair.first.weight, pair.second.weight, pair.bias) if name]
        values = {name: value(loaded, name) for name in names}
        channels = values[pair.first.weight].shape[pair.first.outputs]
        divide(values, pair, (10 ** random.uniform(-DECADES, DECADES, channels)).astype(np.float32))
        for name, changed in values.items():
            overwrite(loaded, name, changed)
    save_program(loaded, target)


def outlier_channels(folder: Path, target: Path) -> None:
    """Makes a few channels behind each norm large, and divides the weights that read them."""
    from paddle_int8.tasks.engines.paddle.program import load_program, save_program
    from paddle_int8.tasks.engines.paddle.rewrites.smoothing import divide, smoothable

    loaded, random = load_program(find_model(ModelFiles(path=folder))), np.random.default_rng(0)
    for each in smoothable(loaded.program.global_block()):
        factor = np.ones(WIDTH, np.float32)
        factor[random.choice(WIDTH, OUTLIERS, replace=False)] /= OUTLIER
        divide(loaded, each, factor)
    save_program(loaded, target)


def prepare(folder: Path) -> dict[str, ModelArtifact]:
    """Trains the models, makes them ready as a release does, and plants. Runs in an isolated process."""
    from paddle_int8.tasks.engines.paddle.load import prepare_model

    made: dict[str, ModelArtifact] = {}
    plain: tuple[Callable[[Path], None], ...] = (train_mobilenet, train_encoder)
    planting: tuple[Callable[[Path, Path], None], ...] = (unequal_channels, outlier_channels)
    for index, (train, plant) in enumerate(zip(plain, planting, strict=True)):
        exported, fp32, planted = (folder / f"{index}_{name}" for name in ("exported", "fp32", "planted"))
        train(exported)
        source = find_model(ModelFiles(path=exported))
        artifact = prepare_model(source, fp32).artifact(source, exported, fp32)
        plant(fp32, planted)
        for name, place in zip(MODELS[2 * index : 2 * index + 2], (fp32, planted), strict=True):
            made[name] = replace(artifact, folder=StoredPath(place))
    return made


def measure(name: str, model: ModelArtifact, algorithms: list[str], folder: Path) -> dict[str, Found]:
    """Each algorithm on one model, with calibrations that they share. Runs in an isolated process."""
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.switches import BASELINE

    folder.mkdir()
    data = _calibration(folder / "data")
    pictures, labels = (each[:DIGITS] for each in samples("validation"))
    scales = "abs_max" if name == ONE_SCALE else "channel_wise_abs_max"
    config = QuantizationConfig(weight_quantize_type=scales)
    observed = {kind: _observed(kind, model, data, config, folder) for kind in Observed}
    exact = _answers(open_predictor(spec_of(model.folder, BASELINE, 1)), pictures)
    found = {}
    for algorithm in algorithms:
        int8 = _int8(model, data, algorithm, config, observed, folder / algorithm, pictures)
        right = [float((answers.argmax(axis=1) == labels).mean()) for answers in (exact, int8)]
        sqnr = 10 * np.log10(np.square(exact).sum() / max(np.square(exact - int8).sum(), 1e-30))
        found[algorithm] = Found(sqnr_db=float(sqnr), drop_pp=100 * (right[0] - right[1]))
    return found


def _observed(
    kind: Observed, model: ModelArtifact, data: DatasetArtifact, config: QuantizationConfig, folder: Path
) -> ObservedArtifact:
    from paddle_int8.tasks.engines.paddle.quantization.observe import ObserveRequest, observe_model

    target = folder / kind
    target.mkdir()
    request = ObserveRequest(
        model=model,
        calibration=data,
        kind=kind,
        form=LAYOUTS.find(LAYOUT).form,
        op_types=config.op_types,
        batch_size=BATCH,
        folder=target,
        step="calibrate",
    )
    outcome = observe_model(request)
    return ObservedArtifact(
        kind=kind,
        folder=StoredPath(target),
        digest="",
        tensors=outcome.tensors,
        seconds=outcome.seconds,
        log=folder,
    )


def _int8(
    model: ModelArtifact,
    data: DatasetArtifact,
    algorithm: str,
    config: QuantizationConfig,
    observed: dict[Observed, ObservedArtifact],
    folder: Path,
    pictures: Array,
) -> Array:
    """The answers of the INT8 model."""
    from paddle_int8.tasks.engines.paddle.conversion.qdq import convert_qdq
    from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
    from paddle_int8.tasks.engines.paddle.quantization.ptq import quantize_model

    candidate = Candidate(algorithm=algorithm, layout=LAYOUT)
    quantized, deployable = folder / "quantized", folder / "deployable"
    quantized.mkdir(parents=True)
    request = ptq_request(
        model=model,
        calibration=data,
        candidate=candidate,
        config=own_section(config, candidate),
        batch_size=BATCH,
        folder=quantized,
        observations=[observed[kind] for kind, _ in observed_for(candidate, config)],
    )
    quantize_model(request)
    convert_qdq(find_model(ModelFiles(path=quantized)), deployable)
    return _answers(open_predictor(spec_of(deployable, LAYOUTS.find(LAYOUT).switches, 1)), pictures)


def _answers(predictor: Predictor, pictures: Array) -> Array:
    return np.concatenate([predictor.run({"image": part})[0] for part in np.split(pictures, 20)])


def _calibration(folder: Path) -> DatasetArtifact:
    folder.mkdir()
    np.save(folder / "image.npy", samples("calibration")[0][:CALIBRATION])
    taken = Preprocessing(layout="as_is", dtype="as_is").model_dump_json()
    (folder / "preprocessing.json").write_text(taken, encoding="utf-8")
    return DatasetArtifact(
        folder=folder, digest="", source="", samples=CALIBRATION, classes=10, seed=0, labelled=False
    )


def main() -> None:
    names = [each.name for each in ALGORITHMS if not each.needs_training and each.name != "min_max"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="ALGORITHM")
    algorithms = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="paddle-int8-algorithms-") as temporary:
        folder = Path(temporary)
        log = folder / "log"
        models = run_isolated(prepare, folder, step="train", log=log, timeout_s=TIME_LIMIT_S)
        columns = [
            run_isolated(
                measure,
                name,
                model,
                algorithms,
                folder / f"measured-{index}",
                step=name,
                log=log,
                timeout_s=TIME_LIMIT_S,
            )
            for index, (name, model) in enumerate(models.items())
        ]
    print(f"| algorithm | {' | '.join(models)} |")  # noqa: T201
    print("|---" * (len(models) + 1) + "|")  # noqa: T201
    for algorithm in algorithms:
        cells = (f"{each[algorithm].sqnr_db:.1f} dB, {each[algorithm].drop_pp:+.1f}" for each in columns)
        print(f"| `{algorithm}` | {' | '.join(cells)} |")  # noqa: T201


if __name__ == "__main__":
    from benchmarks.algorithms import main as run  # isolated processes import functions by module

    run()
