"""Paddle Inference with oneDNN's kernels."""

from paddle_int8.tasks.engines.engine import Engine
from paddle_int8.tasks.engines.paddle import running
from paddle_int8.tasks.engines.paddle.bundle import BUNDLED, bundle_digest, write_bundle
from paddle_int8.tasks.engines.paddle.serving import load_bundle

PACKAGES = ("paddlepaddle", "paddleslim", "numpy")

ENGINE = Engine(
    name="paddle",
    description="Paddle Inference with oneDNN's kernels, on x86 CPUs.",
    packages=PACKAGES,
    load=running.load,
    open=running.open_model,
    audit=running.audit,
    isa=running.isa,
    write_bundle=write_bundle,
    bundled=BUNDLED,
    digest=bundle_digest,
    open_bundle=load_bundle,
)
