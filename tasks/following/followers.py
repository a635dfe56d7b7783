"""Finds the releases that follow a registered FP32 model: `model.registered` names one of its aliases."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paddle_int8.tasks.config.file import load_config
from paddle_int8.tasks.config.model import RegisteredModel
from paddle_int8.tasks.config.release import ReleaseConfig
from paddle_int8.tasks.contracts.errors import ConfigError
from paddle_int8.tasks.tracking.source import SourceVersion, model_and_alias

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """An alias of an FP32 model, and the releases that start when it moves."""

    model: str
    alias: str
    releases: tuple[ReleaseConfig, ...]


def followed_in(folder: Path) -> tuple[Followed, ...]:
    """The aliases that the YAML files in `folder` follow, sorted by model and alias.

    A file that cannot be used is named in the log and skipped.
    Raises: ConfigError when there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(
            found=f"no folder {folder}",
            required="the folder of the releases that follow registered models",
            remedy="set PADDLE_INT8_CONFIGS to it",
        )
    releases: dict[tuple[str, str], list[ReleaseConfig]] = {}
    for path in sorted(folder.rglob("*.yaml")):
        try:
            config = load_config(path)
        except ConfigError as error:
            logger.warning("%s follows nothing: %s", path, error.found)
            continue
        if isinstance(config.model, RegisteredModel):
            name, alias = model_and_alias(config.model.registered)
            if alias:
                releases.setdefault((name, alias), []).append(config)
    return tuple(
        Followed(model=name, alias=alias, releases=tuple(configs))
        for (name, alias), configs in sorted(releases.items())
    )


def followers(followed: Sequence[Followed], model: str, alias: str) -> tuple[ReleaseConfig, ...]:
    """The releases that start when this alias of this model moves."""
    return next((each.releases for each in followed if (each.model, each.alias) == (model, alias)), ())


def pinned(config: ReleaseConfig, source: SourceVersion) -> ReleaseConfig:
    """The release's configuration with this exact version instead of the alias, which may move meanwhile."""
    return config.model_copy(update={"model": config.model.model_copy(update={"registered": source.uri})})
