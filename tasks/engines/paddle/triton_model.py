"""This bundle as a model of Triton's Python backend, which describes it in `config.pbtxt`.

A folder that holds bundles is a model repository: the name of a bundle's folder is the name of the model. The
Python that the backend runs needs numpy and paddlepaddle, as `README.md` says.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import triton_python_backend_utils as triton


class TritonPythonModel:
    """Triton makes one for each instance, in a process of its own, and calls its methods by these names."""

    def initialize(self, args: dict[str, str]) -> None:
        """Opens the bundle."""
        bundle = Path(__file__).resolve().parent.parent
        spec = importlib.util.spec_from_file_location("bundle_predict", bundle / "examples" / "predict.py")
        if spec is None or spec.loader is None:
            raise FileNotFoundError(bundle / "examples" / "predict.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._predictor = module.open_bundle(bundle)
        self._inputs = [tensor["name"] for tensor in json.loads(args["model_config"])["input"]]

    def execute(self, requests: list[triton.InferenceRequest]) -> list[triton.InferenceResponse]:
        """An answer to each request, which holds one batch."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: triton.InferenceRequest) -> triton.InferenceResponse:
        feeds = {name: triton.get_input_tensor_by_name(request, name).as_numpy() for name in self._inputs}
        try:
            outputs = self._predictor.run(feeds)
        except (ValueError, RuntimeError) as error:
            return triton.InferenceResponse(error=triton.TritonError(str(error)))
        named = zip(self._predictor.output_names, outputs)
        return triton.InferenceResponse([triton.Tensor(name, values) for name, values in named])
