"""Reads a release's configuration from its YAML file. A typo is reported, by key, before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from paddle_int8.tasks.config.messages import config_error
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.config.yaml_file import WRITE, read_yaml

FETCHED = "$PADDLE_INT8_DATA"

T = TypeVar("T")


def load_config(path: Path) -> ReleaseConfig:
    """The configuration in the file `path`; relative paths in it are resolved against the file's own folder.

    Raises: ConfigError when the file is missing, is not YAML, or has a wrong key or value.
    """
    raw, lines = read_yaml(path)
    try:
        config = ReleaseConfig.model_validate(raw)
    except ValidationError as error:
        raise config_error(error, ReleaseConfig, f"correct {path}; {WRITE}", lines) from error
    return _absolute(config, path.resolve().parent)


def _absolute(value: T, folder: Path) -> T:
    """`value` with every relative Path in it, at any depth of sections, resolved against `folder`.

    A path that begins with `$PADDLE_INT8_DATA` is resolved against the folder that `make data` fills.
    """
    if isinstance(value, Path) and value.is_relative_to(FETCHED):
        return _absolute(value.relative_to(FETCHED), Settings().data.resolve())
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, tuple):
        return type(value)(_absolute(each, folder) for each in value)
    if isinstance(value, Section):
        return value.model_copy(
            update={name: _absolute(getattr(value, name), folder) for name in type(value).model_fields}
        )
    return value
