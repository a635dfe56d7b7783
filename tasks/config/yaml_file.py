"""Reads a YAML file as data, with the line of every key. What cannot be read is reported by line."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from paddle_int8.tasks.config.messages import Lines
from paddle_int8.tasks.config.text_encoding import EncodingError, decoded
from paddle_int8.tasks.contracts.errors import ConfigError

WRITE = "docs/reference/configuration.md describes every key, and configs/ holds files that work"
PROBLEMS = (
    (r"'\\t' that cannot start", "a tab, where YAML takes blanks only"),
    (r"character '(.)' that cannot start", "a text that begins with `{0}`: put it into quotes"),
    (r"mapping values are not allowed", "a `:` where none may stand: correct the indentation, or use quotes"),
    (r"could not find expected ':'", "a key without `:` behind it"),
    (r"expected <block end>, but found '<scalar>'", "a text behind closing quotes"),
    (r"sequence entries are not allowed", "a `-` where none may stand: begin a list in a line of its own"),
    (r"comment or a line break", "a text behind `|` or `>`, which stands in the lines below it"),
    (r"unhashable key", "a key of several values"),
    (r"base64", "a `!!binary` that holds something else"),
    (r"expected <block end>", "an indentation that fits none of the lines above"),
    (r"expected ',' or '[\]}]'", "a bracket that is not closed, or a `,` too few"),
    (r"unexpected end of stream", "quotes that are not closed"),
    (r"found another document", "a second document: one `---` at most may stand in the file"),
    (
        r"undefined alias '?([^']*)'?",
        "`*{0}`, which is defined nowhere: put a text into quotes",
    ),
    (r"constructor for the tag", "a tag with `!`, of which none is allowed"),
    (r"escape character", r"a `\` in double quotes: use single quotes, or `/` in paths"),
    (r"control characters|special characters", "a character that no text has"),
)
"""Patterns of PyYAML's messages, and what to tell the user instead."""


class _UniqueKeyLoader(yaml.SafeLoader):
    """A loader that refuses a key that comes twice; PyYAML would silently drop the first one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for position, key in enumerate(keys):
            first = next((each for each in keys[:position] if each.value == key.value), None)
            if first is not None:
                raise yaml.constructor.ConstructorError(
                    problem=f"key `{key.value}` comes twice, first in line {first.start_mark.line + 1}",
                    problem_mark=key.start_mark,
                )
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> tuple[dict[object, object], Lines]:
    """The mapping in a file, and the line of each of its keys.

    Raises: ConfigError when the file is missing, is not UTF-8 text or YAML, or holds no mapping.
    """
    try:
        loader = _UniqueKeyLoader(decoded(path.read_bytes()))
        node = loader.get_single_node()
        lines = _lines(node, (), ())
        raw = None if node is None else loader.construct_document(node)
    except OSError as error:
        raise _refused(path, f"{path}: {error.strerror}", "a readable YAML file", "") from error
    except EncodingError as error:
        raise _refused(path, f"{path} is {error.found}", "UTF-8 text", error.remedy) from error
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as error:
        # PyYAML passes on Python's own errors for impossible numbers and dates, such as 2023-02-30
        raise _refused(path, f"{path} is not valid YAML: {_plainly(error)}", "YAML", "") from error
    if not isinstance(raw, dict):
        sort = "nothing" if raw is None else "a list" if isinstance(raw, list) else "a text without keys"
        required = "the keys of a release, such as `name:`, `model:` and `data:`"
        raise _refused(path, f"{path} holds {sort}", required, "")
    return raw, lines


def _lines(
    node: yaml.Node | None, path: tuple[str | int, ...], around: tuple[yaml.Node, ...]
) -> dict[tuple[str | int, ...], int]:
    if node and any(node is each for each in around):
        problem = "an alias inside of what it stands for"
        raise yaml.composer.ComposerError(problem=problem, problem_mark=node.start_mark)
    found: dict[tuple[str | int, ...], int] = {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            found[(*path, name)] = key.start_mark.line + 1
            found |= _lines(value, (*path, name), (*around, node))
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            found[(*path, number)] = value.start_mark.line + 1
            found |= _lines(value, (*path, number), (*around, node))
    return found


def _plainly(error: Exception) -> str:
    """PyYAML's error in plain words, with the line."""
    if isinstance(error, RecursionError):
        return "brackets inside of brackets without end"
    if not isinstance(error, yaml.YAMLError):
        return "a number or a date that does not exist: put a text into quotes"
    problem = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1} has " if mark else ""
    for pattern, words in PROBLEMS:
        if match := re.search(pattern, problem):
            return where + words.format(*match.groups())
    return f"line {mark.line + 1}: {problem}" if mark else problem


def _refused(path: Path, found: str, required: str, remedy: str) -> ConfigError:
    return ConfigError(found=found, required=required, remedy=remedy or f"correct {path}; {WRITE}")
