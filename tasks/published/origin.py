"""Says where a row's weights and samples come from, in words that mean the same on another machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from paddle_int8.tasks.config.callables import brief
from paddle_int8.tasks.config.data import Source
from paddle_int8.tasks.config.model import ModelFiles, RegisteredModel, TrainedModel
from paddle_int8.tasks.data.sources import SOURCES
from paddle_int8.tasks.data.sources.callable import CallableSource

FOLDERS = re.compile(r"(?<![\w/:.~-])~?(?:/[^\s/:,;'\"()|<>]+)+(?=/)")
"""Matches the folders of an absolute path, but not those of a URL or of a relative path."""


def data_origin(source: Source) -> str:
    """Names of files with their last folder, or of a function with its arguments."""
    if isinstance(source, CallableSource):
        return _called(source.function, source.arguments)
    return SOURCES.find(source.kind).describe(source, _ending)


def model_origin(model: ModelFiles | TrainedModel | RegisteredModel) -> str:
    """Where weights come from: the training function and its arguments, the file or the registered model."""
    match model:
        case ModelFiles():
            return _ending(model.path)
        case TrainedModel():
            return _called(model.train, model.arguments)
        case RegisteredModel():
            return model.registered


def without_folders(text: str) -> str:
    """`text` with each absolute path shortened to its last part: `/home/me/x.log` gives `…/x.log`."""
    return FOLDERS.sub("…", text)


def _called(function: str, arguments: Mapping[str, object]) -> str:
    short = {
        key: _ending(PurePath(str(value))) if "/" in str(value) else value for key, value in arguments.items()
    }
    shown = ", ".join(f"{key} {value}" for key, value in short.items() if key != "digest")
    return brief(function) + (f" ({shown})" if shown else "")


def _ending(path: PurePath) -> str:
    return "/".join(path.parts[-2:]).lstrip("/")
