"""The texts of a bundle: its README, and what C++ and Triton need. They are rendered from its deployment.

Rendering cannot fail.
"""

from __future__ import annotations

import logging
import re
from dataclasses import asdict
from functools import cache
from pathlib import Path

import jinja2

from paddle_int8.tasks.contracts.artifacts import TensorSpec
from paddle_int8.tasks.contracts.sequences import LENGTHS
from paddle_int8.tasks.engines.bundle import Deployment

TEMPLATES = Path(__file__).parent / "templates"
README, CPP, TRITON = "README.md", "examples/predict.cpp", "config.pbtxt"
ELEMENTS = {
    "bool": ("bool", "|b1"),
    "int8": ("int8_t", "|i1"),
    "uint8": ("uint8_t", "|u1"),
    "int32": ("int32_t", "<i4"),
    "int64": ("int64_t", "<i8"),
    "float16": ("phi::dtype::float16", "<f2"),
    "float32": ("float", "<f4"),
    "float64": ("double", "<f8"),
}
"""NumPy's element types that `paddle_infer::Tensor` copies, in C++ and in the header of an .npy file.
Source: instances of `Tensor::CopyFromCpu` in paddle/fluid/inference/api/details/zero_copy_tensor.cc."""
TRITON_TYPES = {
    "bool": "TYPE_BOOL",
    "uint8": "TYPE_UINT8",
    "uint16": "TYPE_UINT16",
    "int8": "TYPE_INT8",
    "int16": "TYPE_INT16",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "float16": "TYPE_FP16",
    "float32": "TYPE_FP32",
    "float64": "TYPE_FP64",
}
"""NumPy's element types in the configuration of a model of Triton.
Source: the enumeration `DataType` in Triton's protobuf/model_config.proto."""

PLAIN = frozenset(b"-._/: ,+=@[]()<>|0123456789") | frozenset(range(65, 91)) | frozenset(range(97, 123))
"""Bytes that a C++ literal holds as they are: no quote, no backslash, no question mark, and ASCII only."""

logger = logging.getLogger(__name__)


def render(deployment: Deployment) -> dict[str, str]:
    """Texts by their path in the bundle: the README, and what C++ and Triton need where they can run it."""
    reason, no_triton = why_no_cpp(deployment), why_no_triton(deployment)
    values = {**asdict(deployment), "why_no_cpp": reason, "why_no_triton": no_triton}
    texts = {README: _environment().get_template("bundle_readme.md.jinja").render(values)}
    if reason:
        logger.info("no C++ example: %s", reason)
    else:
        texts[CPP] = _environment().get_template("predict.cpp.jinja").render(values)
    if no_triton:
        logger.info("no model for Triton: %s", no_triton)
    else:
        texts[TRITON] = (
            _environment()
            .get_template("config.pbtxt.jinja")
            .render(
                triton_inputs=[
                    tensor for spec in deployment.inputs for tensor in _triton(spec, lengths=True)
                ],
                triton_outputs=[
                    tensor for spec in deployment.outputs for tensor in _triton(spec, lengths=False)
                ],
            )
        )
    return texts


def why_no_cpp(deployment: Deployment) -> str:
    """Why there is no C++ example of this bundle; "" when there is one."""
    for kind, specs in (("input", deployment.inputs), ("output", deployment.outputs)):
        for spec in specs:
            tensor = f"{kind} {code(spec.name)}"
            if spec.sequence:
                return f"{tensor} holds sequences, and the example knows nothing of lengths and buckets"
            if spec.dtype not in ELEMENTS:
                return f"{tensor} is {spec.dtype}, which Paddle's C++ library does not copy"
    return ""


def why_no_triton(deployment: Deployment) -> str:
    """Why Triton cannot serve this bundle; "" when it can."""
    for spec in (*deployment.inputs, *deployment.outputs):
        if spec.dtype not in TRITON_TYPES:
            return f"{code(spec.name)} is {spec.dtype}, which is no type of Triton's"
        if not spec.shape:
            return f"{code(spec.name)} has no dimension, and Triton's tensors have one at least"
    return ""


def _triton(spec: TensorSpec, *, lengths: bool) -> list[tuple[str, str, list[int]]]:
    """Name, type and shape of each tensor that stands for an input or an output."""
    tensor = (spec.name, TRITON_TYPES[spec.dtype])
    if not spec.sequence:
        return [(*tensor, list(spec.shape))]
    own = (*tensor, [-1, *spec.shape])
    return [own, (spec.name + LENGTHS, "TYPE_INT64", [-1])] if lengths else [own]


def cpp_string(text: str) -> str:
    """A C++ literal of the text in UTF-8, itself in ASCII."""
    return '"' + "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in text.encode()) + '"'


def code(text: str) -> str:
    """A Markdown code span of any text, on one line, with nothing in it that ends a table's cell."""
    text = " ".join(text.split("\n")).replace("|", "¦")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # C++ and Markdown
    )
    environment.filters |= {"cpp_string": cpp_string, "code": code}
    environment.globals |= {"elements": ELEMENTS}
    return environment
