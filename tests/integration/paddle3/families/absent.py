"""Packages that the model zoos import and no export uses, replaced by empty ones in their environment.

They read data sets, fetch files, measure, or draw. A zoo imports them all the same, whatever it is asked for;
nearly all of its declared versions exclude each other (`numpy==1.24.4` with Paddle 3.3, for example).
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType
from unittest.mock import MagicMock

ABSENT = frozenset(
    {
        *("aistudio_sdk", "chardet", "huggingface_hub", "modelscope", "paddlefsl", "requests"),  # fetch files
        *(
            "datasets",
            "mpl_toolkits",
            "matplotlib",
            "multiprocess",
            "pandas",
            "pycocotools",
        ),  # data, pictures
        *("faiss", "lap", "motmetrics", "numba", "seqeval", "sklearn"),  # metrics, and tracking over time
        *("fast_tokenizer", "jieba", "jinja2", "regex", "sentencepiece"),  # text to tokens
        *("cpuinfo", "fastapi", "langchain", "pip", "pkg_resources"),  # servers, and what is installed
        *("docstring_parser", "paddle_custom_device", "paddleslim", "paddleslim_ops"),
    }
)


class Empty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds each package of ABSENT, and its modules, empty; asked last, so that an installed one is used."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in ABSENT:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return MagicMock(name=spec.name, __path__=[], __spec__=spec, __name__=spec.name)  # type: ignore[return-value]

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run."""


def replace() -> None:
    """From here on, an absent package is an empty one."""
    sys.meta_path.append(Empty())
