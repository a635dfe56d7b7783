"""A bundle's C++ example, compiled against Paddle's own library, answers as the validated predictor did."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from paddle_int8.tasks.contracts.arrays import Array
from paddle_int8.tasks.contracts.artifacts import HostProfile, TensorSpec
from paddle_int8.tasks.contracts.evidence import CandidateEvidence
from paddle_int8.tasks.engines.example import EXAMPLE_OUTPUT
from paddle_int8.tasks.engines.paddle.bundle_texts import CPP, ELEMENTS, render
from paddle_int8.tasks.engines.paddle.predictor import open_predictor, spec_of
from paddle_int8.tasks.engines.paddle.switches import QDQ, QUANTIZED_BF16
from paddle_int8.tasks.process.isolated import run_isolated
from tests.integration.masked_release import build
from tests.integration.registry_ground import write
from tests.integration.small_release import SmallRelease, measured
from tests.integration.test_bundle import python, run
from tests.unit.test_bundle_texts import deployment

pytestmark = [
    pytest.mark.paddle,
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is missing"),
]
CALL_MAIN = """
import ctypes, sys
import paddle
main = ctypes.CDLL(sys.argv[1]).main
arguments = [text.encode() for text in sys.argv[1:]]
sys.exit(main(len(arguments), (ctypes.c_char_p * len(arguments))(*arguments)))
"""
"""libpaddle.so wants Python's symbols, so that a program of C++ alone cannot open it."""


def compiled(source: Path, folder: Path) -> Path:
    """The example as a library whose `main` Python calls, see `CALL_MAIN`."""
    library = importlib.metadata.distribution("paddlepaddle").locate_file("paddle/base/libpaddle.so")
    options = ("-std=c++17", "-Wall", "-Wextra", "-pedantic", "-Werror", "-shared", "-fPIC")
    example = folder / "predict.so"
    run("g++", *options, f"-I{Path(__file__).parent}", source, str(library), "-o", example)
    return example


def as_written(source: Path) -> str:
    """The code that the example's first lines say to split `example_input.npz` with."""
    line = next(line for line in source.read_text().splitlines() if "python -c" in line)
    return line.split('"', 1)[1].rsplit('"', 1)[0]


@pytest.fixture(scope="module")
def masked(tmp_path_factory: pytest.TempPathFactory) -> SmallRelease:
    folder = tmp_path_factory.mktemp("masked")
    return run_isolated(build, folder, step="build", log=folder / "build.log", timeout_s=300)


@pytest.fixture(params=["one picture", "two pictures and a mask"])
def release(
    request: pytest.FixtureRequest, small_release: SmallRelease, masked: SmallRelease
) -> SmallRelease:
    return small_release if request.param == "one picture" else masked


def test_cpp_example_with_paddles_library_gives_the_validated_output(
    release: SmallRelease, host: HostProfile, tmp_path: Path
) -> None:
    deployable = release.deployables["qdq"]
    evidence = CandidateEvidence(
        candidate=deployable.candidate,
        digest=deployable.digest,
        size_bytes=deployable.size_bytes,
        baseline_digest=release.model.digest,
        baseline_size_bytes=release.model.size_bytes,
        validation_digest=release.validation.digest,
        host=host,
        per_isa=(measured(release, "qdq", tmp_path, isa=host.isa),),
    )
    folder = write(release, evidence, tmp_path / "bundle").folder
    assert "config.EnableMkldnnInt8()" in (folder / CPP).read_text()
    python(as_written(folder / CPP), cwd=folder, env={**os.environ})
    inputs = [folder / f"input_{place}.npy" for place in range(len(release.model.inputs))]
    example = compiled(folder / CPP, tmp_path)
    python(CALL_MAIN, example, folder / "model", *inputs, cwd=tmp_path, env={**os.environ})
    with np.load(folder / EXAMPLE_OUTPUT) as expected:
        assert len(expected.files) == len(release.model.outputs)
        for place, values in enumerate(expected.values()):
            found = np.load(tmp_path / f"output_{place}.npy")
            assert (found.dtype, found.shape) == (values.dtype, values.shape)
            np.testing.assert_array_equal(found, values)


NAMES = ('a "b"', "back\\slash", "名前", "??/", "x/y.0", "file", "self", "`tick`")
EVERY_DTYPE = tuple(
    TensorSpec(name=name, shape=(-1, 4), dtype=dtype) for name, dtype in zip(NAMES, ELEMENTS, strict=True)
)


def values_of(spec: TensorSpec) -> Array:
    """[3, 4] of either sign where the dtype has one."""
    values = np.random.default_rng(0).integers(-100, 100, (3, 4))
    return (values > 0 if spec.dtype == "bool" else values / 4).astype(spec.dtype)


def export_every_dtype(folder: Path) -> None:
    """A model that answers half of each input in its own dtype, and scores. Isolated process."""
    import paddle
    from paddle.base.layer_helper import LayerHelper

    from paddle_int8.tasks.engines.paddle.program import LoadedProgram, save_program

    paddle.enable_static()
    main, startup, scope = paddle.static.Program(), paddle.static.Program(), paddle.static.Scope()
    with paddle.static.program_guard(main, startup), paddle.static.scope_guard(scope):
        inputs = [paddle.static.data(spec.name, spec.shape, spec.dtype) for spec in EVERY_DTYPE]
        outputs = []
        for each in inputs:
            helper = LayerHelper("slice")
            half = helper.create_variable_for_type_inference(each.dtype)
            attributes = {"axes": [1], "starts": [2], "ends": [4]}
            helper.append_op(type="slice", inputs={"Input": each}, outputs={"Out": half}, attrs=attributes)
            outputs.append(half)
        outputs.append(paddle.static.nn.fc(paddle.cast(inputs[-2], "float32"), 3))
        paddle.static.Executor(paddle.CPUPlace()).run(startup)
        program = paddle.static.normalize_program(main, inputs, outputs)
    fetches = tuple(each.name for each in outputs)
    save_program(LoadedProgram(program=program, scope=scope, feeds=NAMES, fetches=fetches), folder)


def answers(folder: Path) -> dict[str, Array]:
    """The model's outputs by name, for one batch of `values_of`, from Paddle's Python library."""
    export_every_dtype(folder)
    predictor = open_predictor(spec_of(folder, QDQ, 1))
    outputs = predictor.run({spec.name: values_of(spec) for spec in EVERY_DTYPE})
    return dict(zip(predictor.output_names, outputs, strict=True))


def test_cpp_example_asks_for_bf16_where_the_cpu_has_it(tmp_path: Path) -> None:
    text = render(replace(deployment(*EVERY_DTYPE), switches=QUANTIZED_BF16))[CPP]
    assert 'if (__builtin_cpu_supports("avx512bf16")) config.EnableMkldnnBfloat16();' in text
    source = tmp_path / "predict.cpp"
    source.write_text(text)
    assert compiled(source, tmp_path).is_file()


def test_cpp_example_feeds_and_reads_every_dtype_under_any_name(tmp_path: Path) -> None:
    wanted = run_isolated(
        answers, tmp_path / "model", step="export", log=tmp_path / "export.log", timeout_s=120
    )
    assert [str(values.dtype) for values in wanted.values()] == [*ELEMENTS, "float32"]
    outputs = tuple(
        TensorSpec(name=name, shape=values.shape, dtype=str(values.dtype)) for name, values in wanted.items()
    )
    source = tmp_path / "predict.cpp"
    source.write_text(render(deployment(*EVERY_DTYPE, outputs=outputs))[CPP])
    paths = [tmp_path / f"input_{place}.npy" for place in range(len(EVERY_DTYPE))]
    for path, spec in zip(paths, EVERY_DTYPE, strict=True):
        np.save(path, values_of(spec))
    example = compiled(source, tmp_path)
    python(CALL_MAIN, example, tmp_path / "model", *paths, cwd=tmp_path, env={**os.environ})
    for place, values in enumerate(wanted.values()):
        found = np.load(tmp_path / f"output_{place}.npy")
        assert found.dtype == values.dtype
        np.testing.assert_array_equal(found, values)
    np.save(paths[0], np.ones((3, 4), np.float32))
    command = (sys.executable, "-P", "-c", CALL_MAIN, example, tmp_path / "model", *paths)
    refused = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)
    assert refused.returncode == 1
    assert 'holds <f4 (3,4,), input a "b" takes |b1 (-1,4,)' in refused.stderr
