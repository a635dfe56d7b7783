"""The README and the C++ example of a bundle, rendered from its `deployment.json`. Rendering cannot fail."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

TEMPLATES = Path(__file__).parent / "templates"
README, CPP = "README.md", "examples/predict.cpp"
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

PLAIN = frozenset(b"-._/: ,+=@[]()<>|0123456789") | frozenset(range(65, 91)) | frozenset(range(97, 123))
"""Bytes that a C++ literal holds as they are: no quote, no backslash, no question mark, and ASCII only."""

logger = logging.getLogger(__name__)


def render(deployment: Mapping[str, Any]) -> dict[str, str]:
    """Texts by their path in the bundle: the README, and the C++ example where there can be one."""
    reason = why_no_cpp(deployment)
    values = {**deployment, "why_no_cpp": reason}
    texts = {README: _environment().get_template("bundle_readme.md.jinja").render(values)}
    if reason:
        logger.info("no C++ example: %s", reason)
    else:
        texts[CPP] = _environment().get_template("predict.cpp.jinja").render(values)
    return texts


def why_no_cpp(deployment: Mapping[str, Any]) -> str:
    """Why there is no C++ example of this bundle; "" when there is one."""
    for kind in ("input", "output"):
        for spec in deployment[f"{kind}s"]:
            tensor = f"{kind} {code(spec['name'])}"
            if spec["sequence"]:
                return f"{tensor} holds sequences, and the example knows nothing of lengths and buckets"
            if spec["dtype"] not in ELEMENTS:
                return f"{tensor} is {spec['dtype']}, which Paddle's C++ library does not copy"
    return ""


def cpp_string(text: str) -> str:
    """A C++ literal of the text in UTF-8, itself in ASCII."""
    return '"' + "".join(chr(byte) if byte in PLAIN else f"\\{byte:03o}" for byte in text.encode()) + '"'


def code(text: str) -> str:
    """A Markdown code span of any text, on one line, with nothing in it that ends a table's cell."""
    text = " ".join(text.split("\n")).replace("|", "¦")
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"


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
