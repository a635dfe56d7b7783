"""A release's configuration from its YAML file. A typo fails before the first step and names the key."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from tasks.config import ReleaseConfig, Section
from tasks.errors import ConfigError
from tasks.settings import Settings

TAGS = frozenset({"files", "trained", "registered", "image_folder", "npz", "idx", "tagged_text", "callable"})
"""Names that pydantic puts into an error's location, and that the user's file does not have."""
FETCHED = "$PADDLE_INT8_DATA"

T = TypeVar("T")


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that comes twice, of which PyYAML would drop the first without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for position, key in enumerate(keys):
            if any(key.value == earlier.value for earlier in keys[:position]):
                raise yaml.constructor.ConstructorError(
                    problem=f"key `{key.value}` comes twice", problem_mark=key.start_mark
                )
        return super().construct_mapping(node, deep)


def load_config(path: Path) -> ReleaseConfig:
    """The configuration in `path`, its relative paths taken from the file's own folder.

    Raises: ConfigError when the file is missing, is not YAML, or has a wrong key or value.
    """
    remedy = f"correct {path}; `paddle-int8 release --help` and configs/ show a working one"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(found=str(error), required="a readable YAML file", remedy=remedy) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            found=f"{path} is not valid YAML: {error}", required="YAML", remedy=remedy
        ) from error
    if not isinstance(raw, dict):
        raise ConfigError(
            found=f"{path} holds {'nothing' if raw is None else type(raw).__name__}",
            required="a mapping of sections",
            remedy=remedy,
        )
    try:
        config = ReleaseConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(
            found="; ".join(_messages(error)),
            required="only known keys, each with a value in its range",
            remedy=remedy,
        ) from error
    return _absolute(config, path.resolve().parent)


def _messages(error: ValidationError) -> list[str]:
    """Each mistake once: pydantic also calls a list too short when it has dropped a wrong item."""
    items = error.errors()
    wrong = {item["loc"][:-1] for item in items}
    return [_say(item) for item in items if item["type"] != "too_short" or item["loc"] not in wrong]


def _say(item: Any) -> str:
    """One of pydantic's errors in the terms of the user's file."""
    key = ".".join(str(part) for part in item["loc"] if part not in TAGS) or "configuration"
    if item["type"] == "extra_forbidden":
        return f"unknown key `{key}`{_suggestion(str(item['loc'][-1]))}"
    if item["type"] == "missing":
        return f"missing key `{key}`"
    if item["type"] == "union_tag_not_found":
        return f"missing key `{key}.{item['ctx']['discriminator'].strip(chr(39))}`"
    if item["type"] == "value_error":
        return f"`{key}`: {item['msg'].removeprefix('Value error, ')}"
    if item["type"] == "model_type":
        return f"`{key}`: a section of keys is required (got {item['input']!r:.80})"
    return f"`{key}`: {item['msg']} (got {item['input']!r:.80})"


def _suggestion(key: str) -> str:
    known = {name for section in Section.__subclasses__() for name in section.model_fields} - {key}
    close = get_close_matches(key, sorted(known), n=1, cutoff=0.7)
    return f", did you mean `{close[0]}`?" if close else ""


def _absolute(value: T, folder: Path) -> T:
    """`value` with every relative Path in it, at any depth of sections, resolved against `folder`.

    What begins with `FETCHED` is resolved against the folder that `make data` fills.
    """
    if isinstance(value, Path) and value.is_relative_to(FETCHED):
        return _absolute(value.relative_to(FETCHED), Settings().data.resolve())
    if isinstance(value, Path):
        return folder / value.expanduser()
    if isinstance(value, Section):
        return value.model_copy(
            update={name: _absolute(getattr(value, name), folder) for name in type(value).model_fields}
        )
    return value
