"""Runs Triton Inference Server, from the package `nvidia-pytriton`, on bundles. Its environment:

    uv venv --python python3.11 .envs/triton
    uv pip install --python .envs/triton/bin/python \
        nvidia-pytriton==0.7.0 paddlepaddle==2.6.2 "numpy<2" "setuptools<81"
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.serving.server import Server, free_port, running

MODEL = "served"
"""The name of the model in Triton, which is that of its folder."""


@contextmanager
def triton(bundle: Path, folder: Path, environment: Path) -> Iterator[Server]:
    """Runs Triton on loopback while the context is open, with the bundle as its one model.

    folder: empty; it gets the model repository, the Python backend and the server's log.
    environment: a virtual environment of Python 3.11 with the packages above.
    """
    packages = environment.absolute() / "lib" / "python3.11" / "site-packages"
    server, repository, backends = (
        packages / "pytriton" / "tritonserver",
        folder / "models",
        folder / "backends",
    )
    shutil.copytree(bundle, repository / MODEL)
    shutil.copytree(server / "backends" / "python", backends / "python")
    shutil.copy(server / "python_backend_stubs" / "3.11" / "triton_python_backend_stub", backends / "python")
    port = free_port()
    options = {
        "model-repository": repository,
        "backend-directory": backends,
        "http-address": "127.0.0.1",
        "http-port": port,
        "allow-grpc": "false",
        "allow-metrics": "false",
        "backend-config": "python,stub-timeout-seconds=300",
    }
    command = [
        str(server / "bin" / "tritonserver"),
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    variables = {
        **os.environ,
        "PATH": f"{environment.absolute() / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(packages),
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "OMP_NUM_THREADS": "1",
    }
    with running(
        command, variables, f"http://127.0.0.1:{port}", "/v2/health/ready", folder / "triton.log"
    ) as running_server:
        yield running_server
