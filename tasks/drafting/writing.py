"""Writes a drafted configuration as commented YAML."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2

from paddle_int8.tasks.contracts.artifacts import ModelArtifact
from paddle_int8.tasks.drafting.sources import Data
from paddle_int8.tasks.layouts import LAYOUTS

TEMPLATES = Path(__file__).parent / "templates"
PLAIN = re.compile(r"[A-Za-z_][\w.-]*(/[\w.-]+)*")
RESERVED = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
EXPANDED = ("~", "$")
"""What a path must not begin with when it is read from a configuration as it is."""


@dataclass(slots=True, kw_only=True)
class Notes:
    """Why something was written, for the comments beside it."""

    preprocessing: str = ""
    metric: str = ""
    margin: str = ""


def written(
    sections: Mapping[str, object], notes: Notes, model: ModelArtifact, parts: Data, path: Path
) -> str:
    """The text of the configuration `path`. Paths inside its folder are written relative to it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["yaml"] = lambda value: said(value, path.parent)
    environment.filters["comment"] = lambda text: " ".join(str(text).split())
    environment.tests["narrow"] = lambda layout: LAYOUTS.find(layout).narrow
    return environment.get_template("configuration.yaml.jinja").render(
        sections=sections, notes=notes, model=model, parts=parts, path=path
    )


def said(value: object, folder: Path) -> str:
    """A value as YAML on one line."""
    match value:
        case Mapping():
            return (
                "{"
                + ", ".join(f"{said(key, folder)}: {said(each, folder)}" for key, each in value.items())
                + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(said(each, folder) for each in value) + "]"
        case Path():
            return said(_relative(value, folder), folder)
        case bool():
            return str(value).lower()
        case float():
            return f"{value:.6g}" if value != int(value) else f"{value:.1f}"
        case int():
            return str(value)
    text = str(value)
    plain = PLAIN.fullmatch(text) and text.lower() not in RESERVED
    return text if plain else json.dumps(text, ensure_ascii=False)


def _relative(path: Path, folder: Path) -> str:
    inside = path.is_relative_to(folder) and not str(path.relative_to(folder)).startswith(EXPANDED)
    return str(path.relative_to(folder)) if inside else str(path)
