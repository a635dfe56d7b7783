"""The open inference protocol over HTTP, with tensors as JSON or as bytes.

Source: docs/protocol/extension_binary_data.md of Triton Inference Server.
"""

from __future__ import annotations

import httpx
import numpy as np
import orjson

from paddle_int8.tasks.contracts.arrays import Array, Feed

TYPES = {
    "bool": "BOOL",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
"""NumPy's element types by the protocol's names."""
DTYPES = {name: dtype for dtype, name in TYPES.items()}
HEADER = "Inference-Header-Content-Length"


def ask_binary(client: httpx.Client, model: str, feed: Feed) -> dict[str, Array]:
    """Outputs by name; inputs and outputs are the bytes behind a JSON header."""
    inputs = [_tensor(name, values, {"binary_data_size": values.nbytes}) for name, values in feed.items()]
    header = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    body = header + b"".join(np.ascontiguousarray(values).tobytes() for values in feed.values())
    headers = {HEADER: str(len(header)), "Content-Type": "application/octet-stream"}
    response = _answered(client.post(f"/v2/models/{model}/infer", content=body, headers=headers))
    place, outputs = int(response.headers[HEADER]), {}
    for tensor in orjson.loads(response.content[:place])["outputs"]:
        size = tensor["parameters"]["binary_data_size"]
        raw = np.frombuffer(response.content[place : place + size], DTYPES[tensor["datatype"]])
        outputs[tensor["name"]] = raw.reshape(tensor["shape"])
        place += size
    return outputs


def ask_json(client: httpx.Client, model: str, feed: Feed) -> dict[str, Array]:
    """Outputs by name; inputs and outputs are lists of numbers."""
    inputs = [_tensor(name, values, {}) | {"data": values.ravel()} for name, values in feed.items()]
    body = orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {"Content-Type": "application/json"}
    response = _answered(client.post(f"/v2/models/{model}/infer", content=body, headers=headers))
    return {
        tensor["name"]: np.array(tensor["data"], DTYPES[tensor["datatype"]]).reshape(tensor["shape"])
        for tensor in orjson.loads(response.content)["outputs"]
    }


def _tensor(name: str, values: Array, parameters: dict[str, object]) -> dict[str, object]:
    shape = list(values.shape)
    return {"name": name, "shape": shape, "datatype": TYPES[str(values.dtype)], "parameters": parameters}


def _answered(response: httpx.Response) -> httpx.Response:
    if response.status_code != httpx.codes.OK:
        raise RuntimeError(f"{response.status_code} {response.text[:300]}")
    return response
