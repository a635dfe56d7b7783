"""Small real models: exported, quantized in both formats, converted and run, in isolated processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.engines.paddle.audit.kernels import parse_verbose
from paddle_int8.tasks.engines.paddle.audit.verbose import VerboseRecorder
from paddle_int8.tasks.engines.paddle.conversion.offline import OfflineRequest, convert_offline
from paddle_int8.tasks.engines.paddle.conversion.qdq import convert_qdq
from paddle_int8.tasks.engines.paddle.files import ModelSource, find_model
from paddle_int8.tasks.engines.paddle.form import HOLDER
from paddle_int8.tasks.engines.paddle.load import prepare_model
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import FOREIGN_QDQ, INT8_DELETED, QDQ, Switches
from paddle_int8.tasks.process.isolated import run_isolated
from tests.shared import made_once

SIDE = 32
SAMPLES = 16
EXPORTED = ("mobilenet_v1", "resnet18", "vgg", "square", "plain", "encoder", "scaled")
QUANTIZED = ("mobilenet_v1", "vgg", "square", "resnet18", "encoder", "scaled")


def images(count: int, seed: int) -> Any:
    return np.random.default_rng(seed).standard_normal((count, 3, SIDE, SIDE)).astype("float32")


def export_all(root: Path) -> None:
    """Writes `root/<name>/model.pdmodel` and `.pdiparams` for each name in EXPORTED."""
    import paddle

    paddle.seed(0)
    for name in EXPORTED:
        layer = _layer(name)
        _settle(layer)
        spec = paddle.static.InputSpec([None, 3, SIDE, SIDE], "float32", "image")
        paddle.jit.save(layer, str(root / name / "model"), input_spec=[spec])


def _layer(name: str) -> Any:
    from paddle import nn
    from paddle.vision import models

    if name == "mobilenet_v1":
        return models.mobilenet_v1(scale=0.25, num_classes=10)
    if name == "resnet18":
        return models.resnet18(num_classes=10)
    if name == "vgg":  # convolutions with bias, uneven then identity pooling, dropout, FC pairs
        return nn.Sequential(
            *(nn.Conv2D(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2D(2, 2)),
            *(nn.Conv2D(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2D(2, 2)),
            *(nn.AdaptiveAvgPool2D(7), nn.AdaptiveAvgPool2D(7), nn.Flatten()),
            *(nn.Linear(16 * 49, 64), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(), nn.Linear(48, 10)),
        )
    if name == "square":  # a square weight whose columns differ in size by a factor of 100
        return nn.Sequential(
            *(nn.Conv2D(3, 16, 3, stride=4), nn.AdaptiveAvgPool2D(2), nn.Flatten()),
            *(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)),
        )
    if name == "encoder":
        return _padded_encoder()
    if name == "scaled":
        return _scaled_sums()
    return nn.Sequential(  # nothing that a rewrite may touch but the dropout, a factor
        *(nn.Conv2D(3, 8, 3, bias_attr=False), nn.ReLU(), nn.AdaptiveAvgPool2D(2)),
        *(nn.Flatten(), nn.Dropout(mode="downscale_in_infer"), nn.Linear(32, 10)),
    )


def _padded_encoder() -> Any:
    """Two layers of attention over 64 patches, of which a mask of -10,000 hides about half."""
    import paddle
    from paddle import nn

    class Encoder(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv2D(3, 64, 4, stride=4)
            layer = nn.TransformerEncoderLayer(64, 4, 256, dropout=0.0, activation="gelu")
            self.encoder = nn.TransformerEncoder(layer, 2)
            self.answers = nn.Linear(64, 10)

        def forward(self, image: Any) -> Any:
            patches = self.patches(image).flatten(2).transpose([0, 2, 1])
            hidden = (patches[:, :, 0] > patches[:, :, 1]).astype("float32").unsqueeze([1, 2])
            return self.answers(self.encoder(patches, hidden * -1e4).mean(axis=1))

    paddle.seed(0)
    return Encoder()


def _scaled_sums() -> Any:
    """Factors behind convolutions, with and without a ReLU, and sums of a rectified and a signed input."""
    from paddle import nn

    class Scaled(nn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2D(3, 8, 3, padding=1)
            self.second = nn.Conv2D(8, 8, 3, padding=1)
            self.third = nn.Conv2D(8, 8, 3, padding=1)
            self.fourth = nn.Conv2D(8, 8, 3, padding=1)
            self.rectify, self.pool = nn.ReLU(), nn.MaxPool2D(4)
            self.answers = nn.Linear(8 * 64, 10)

        def forward(self, image: Any) -> Any:
            rectified = self.rectify(self.first(image))
            signed = self.second(rectified) * 0.5 + rectified
            again = self.rectify(self.third(signed))
            last = self.rectify(self.fourth(again * 0.25)) * 16
            return self.answers(self.pool(last + again).flatten(1))

    return Scaled()


def _settle(layer: Any) -> None:
    """Kaiming weights, biases that matter, BatchNorm statistics of a few batches."""
    import paddle
    from paddle import nn

    for part in layer.sublayers():
        if isinstance(part, nn.Conv2D | nn.Linear):
            nn.initializer.KaimingNormal()(part.weight)
            if part.bias is not None:
                part.bias.set_value(paddle.randn(part.bias.shape) * 0.1)
        if isinstance(part, nn.Linear) and part.weight.shape == [64, 64]:
            part.weight.set_value(part.weight * paddle.logspace(-2, 0, 64))
    layer.train()
    for seed in range(3):
        layer(paddle.to_tensor(images(8, seed)))
    layer.eval()


def quantize_all(root: Path) -> None:
    """PaddleSlim's PTQ of `root/<name>_fp32` into `root/<name>_fake` and `root/<name>_qdq`."""
    import paddle
    from paddleslim.quant import quant_post_static

    class Noise(paddle.io.Dataset):  # type: ignore[misc]
        def __getitem__(self, index: int) -> Any:
            return images(1, 100 + index)[0]

        def __len__(self) -> int:
            return SAMPLES

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    for name in QUANTIZED:
        folder = root / f"{name}_fp32"
        for suffix in ("fake", "qdq"):
            program, feeds, _ = paddle.static.load_inference_model(str(folder / "model"), executor)
            loader = paddle.io.DataLoader(
                Noise(),
                feed_list=[program.global_block().var(feeds[0])],
                batch_size=8,
                return_list=False,
                places=[paddle.CPUPlace()],
            )
            quant_post_static(
                executor,
                str(folder),
                str(root / f"{name}_{suffix}"),
                data_loader=loader,
                model_filename="model.pdmodel",
                params_filename="model.pdiparams",
                save_model_filename="model.pdmodel",
                save_params_filename="model.pdiparams",
                batch_size=8,
                batch_nums=2,
                algo="avg",
                onnx_format=suffix == "qdq",
                quantizable_op_type=["conv2d", "depthwise_conv2d", "matmul_v2"],
            )


def predict(folders: tuple[Path, ...], *, onednn: bool) -> list[Any]:
    """Outputs of the model in each folder for the same images, one array each."""
    from paddle.inference import Config, create_predictor

    outputs = []
    for folder in folders:
        config = Config(str(folder / "model.pdmodel"), str(folder / "model.pdiparams"))
        config.switch_ir_optim(onednn)
        if onednn:
            config.enable_mkldnn()
        else:
            config.disable_mkldnn()
        for name in INT8_DELETED:
            config.delete_pass(name)
        predictor = create_predictor(config)
        predictor.get_input_handle(predictor.get_input_names()[0]).copy_from_cpu(images(8, 1000))
        predictor.run()
        outputs.append(predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu())
    return outputs


def answers_differ(folder: Path, switches: Switches) -> float:
    """Greatest difference between twenty answers to the same images, by one predictor."""
    predictor = open_predictor(spec_of(folder, switches, 1))
    first, *others = [predictor.run({"image": images(8, 1000)})[0] for _ in range(20)]
    return max(float(np.abs(first - other).max()) for other in others)


def primitives(folder: Path, switches: Switches) -> list[str]:
    """The kinds of oneDNN's primitives that one inference executes, in order."""
    predictor, feed = open_predictor(spec_of(folder, switches, 1)), {"image": images(8, 1000)}
    predictor.run(feed)
    _, executed = parse_verbose(VerboseRecorder().record(lambda: predictor.run(feed), inferences=1))
    return [primitive.kind for primitive in executed]


def predict_native(folders: tuple[Path, ...]) -> list[Any]:
    """Paddle's own FP32 kernels, graph as written."""
    return predict(folders, onednn=False)


def predict_onednn(folders: tuple[Path, ...]) -> list[Any]:
    return predict(folders, onednn=True)


def predict_qdq(folders: tuple[Path, ...]) -> list[Any]:
    """The outputs of QDQ models, both converted ones and those that PaddleSlim wrote."""
    outputs = []
    for folder in folders:
        switches = QDQ if HOLDER in operator_types(folder) else FOREIGN_QDQ
        outputs += open_predictor(spec_of(folder, switches, 1)).run({"image": images(8, 1000)})
    return outputs


def sqnr_db(reference: Any, output: Any) -> float:
    """Signal to quantization noise ratio; high is close."""
    noise = ((reference - output) ** 2).sum()
    return float(10 * np.log10((reference**2).sum() / max(noise, 1e-30)))


def operator_types(folder: Path) -> list[str]:
    from paddle_int8.tasks.engines.paddle.program import parse_program

    path = folder / "model.pdmodel"
    return [op.type for op in parse_program(path.read_bytes(), path).blocks[0].ops]


def build() -> Path:
    """The folder with every small model in every form, made once for all tests.

    `<name>` as exported, `<name>_fp32` as prepared, `<name>_fake` and `<name>_qdq` as PaddleSlim quantized
    it, `<name>_offline` and `<name>_deployable_qdq` as converted.
    """
    return made_once("small_models", _build)


def _build(root: Path) -> None:
    for function in (export_all, prepare_all, quantize_all, convert_all):
        run_isolated(function, root, step="build", log=root / "build.log", timeout_s=200)


def prepare_all(root: Path) -> None:
    for name in QUANTIZED:
        prepare_model(source(root / name), root / f"{name}_fp32")


def convert_all(root: Path) -> None:
    for name in QUANTIZED:
        convert_offline(OfflineRequest(source=source(root / f"{name}_fake"), folder=root / f"{name}_offline"))
        convert_qdq(source(root / f"{name}_qdq"), root / f"{name}_deployable_qdq")


def source(path: Path) -> ModelSource:
    return find_model(ModelFiles(path=path))


def named(folder: Path, program: str, params: str) -> ModelSource:
    return find_model(ModelFiles(path=folder, model_filename=program, params_filename=params))
