"""The small network of the end-to-end tests, quantized without this project. Isolated processes only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from paddle_int8.tasks.engines.paddle.conversion.offline import OfflineRequest, convert_offline
from tests.e2e.small_inputs import SIDE, noise, small_network
from tests.integration.small_models import source

SAMPLES = 16


def quantize(folder: Path, model: Path) -> None:
    """Writes a folder for each form. `model` is the exported FP32 model.

    `coarse` has one scale for each weight and none for its product, `wider` takes larger pictures, `more`
    has more classes, and `weights` is quantized in its weights alone.
    """
    _dygraph(folder / "dygraph")
    _export(folder / "wide_fp32", small_network(), SIDE + 4)
    _export(folder / "many_fp32", small_network(classes=11), SIDE)
    _slim(model, folder / "slim_infer", onnx_format=False)
    _slim(model, folder / "slim_onnx", onnx_format=True)
    coarse = {"weight_quantize_type": "abs_max", "quantizable_op_type": ["conv2d"]}
    _slim(model, folder / "coarse", onnx_format=True, **coarse)
    _slim(folder / "wide_fp32", folder / "wider", SIDE + 4, onnx_format=True)
    _slim(folder / "many_fp32", folder / "more", onnx_format=True)
    convert_offline(OfflineRequest(source=source(folder / "slim_infer"), folder=folder / "converted"))
    _weights(model, folder)


def _export(folder: Path, network: Any, side: int) -> None:
    import paddle

    spec = paddle.static.InputSpec([None, 3, side, side], "float32", "image")
    paddle.jit.save(network, str(folder / "model"), input_spec=[spec])


def _slim(model: Path, target: Path, side: int = SIDE, **options: Any) -> None:
    """As PaddleSlim's users call it."""
    import paddle
    from paddleslim.quant import quant_post_static

    class Noise(paddle.io.Dataset):  # type: ignore[misc]
        def __getitem__(self, index: int) -> Any:
            return noise(SAMPLES, seed=1)[index].repeat(2, 1).repeat(2, 2)[:, :side, :side]

        def __len__(self) -> int:
            return SAMPLES

    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    program, feeds, _ = paddle.static.load_inference_model(str(model / "model"), executor)
    loader = paddle.io.DataLoader(
        Noise(),
        feed_list=[program.global_block().var(feeds[0])],
        batch_size=8,
        return_list=False,
        places=[paddle.CPUPlace()],
    )
    quant_post_static(
        executor,
        str(model),
        str(target),
        data_loader=loader,
        model_filename="model.pdmodel",
        params_filename="model.pdiparams",
        save_model_filename="model.pdmodel",
        save_params_filename="model.pdiparams",
        batch_size=8,
        batch_nums=2,
        **({"algo": "abs_max", "quantizable_op_type": ["conv2d", "matmul_v2"]} | options),
    )


def _dygraph(folder: Path) -> None:
    """`paddle.quantization` of the same network, whose weights come from the same seed."""
    import paddle
    from paddle.quantization import PTQ, QuantConfig
    from paddle.quantization.observers import AbsmaxObserver

    paddle.disable_static()
    paddle.seed(0)
    observer = AbsmaxObserver()
    ptq = PTQ(QuantConfig(activation=observer, weight=observer))
    observed = ptq.quantize(small_network())
    for start in range(0, SAMPLES, 8):
        observed(paddle.to_tensor(noise(SAMPLES, seed=1)[start : start + 8]))
    _export(folder, ptq.convert(observed), SIDE)


def _weights(model: Path, folder: Path) -> None:
    """What `quant_post_dynamic` calls."""
    from paddle.static.quantization import WeightQuantization

    WeightQuantization(
        model_dir=str(model), model_filename="model.pdmodel", params_filename="model.pdiparams"
    ).quantize_weight_to_int(
        save_model_dir=str(folder / "dynamic"),
        save_model_filename="model.pdmodel",
        save_params_filename="model.pdiparams",
        weight_bits=8,
        weight_quantize_type="channel_wise_abs_max",
    )
    (folder / "dynamic" / "quantized_model").rename(folder / "weights")
