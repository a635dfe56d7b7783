"""Opens a bundle of the stand-in engine, without the project that wrote it."""

from __future__ import annotations

import json
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

FILE = "model.standin"
PROGRAM, PARAMS = "program", "params"


class Predictor:
    """A model of the stand-in's format, a ZIP file of a program and its parameters. Any thread may run it."""

    def __init__(self, path: Path, threads: int) -> None:
        from paddle.inference import Config, create_predictor

        with zipfile.ZipFile(path) as archive:
            program, params = archive.read(PROGRAM), archive.read(PARAMS)
        config = Config()
        config.set_model_buffer(program, len(program), params, len(params))
        config.disable_glog_info()
        config.set_cpu_math_library_num_threads(threads)
        self._predictor = create_predictor(config)
        self._turn = threading.Lock()
        self.input_names: list[str] = self._predictor.get_input_names()
        self.output_names: list[str] = self._predictor.get_output_names()

    def run(self, feeds: dict[str, Any]) -> list[Any]:
        with self._turn:
            for name in self.input_names:
                self._predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(feeds[name]))
            self._predictor.run()
            return [self._predictor.get_output_handle(name).copy_to_cpu() for name in self.output_names]


def open_bundle(bundle: Path) -> Predictor:
    deployment = json.loads((bundle / "deployment.json").read_text(encoding="utf-8"))
    return Predictor(bundle / "model" / FILE, deployment["threads"])
