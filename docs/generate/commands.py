"""The command line, from the program's own help."""

from __future__ import annotations

import re
from typing import Any

import typer

from docs.generate.schema import table
from paddle_int8.flows.cli.main import app

PROGRAM = "paddle-int8"


def commands(_name: str) -> str:
    """A section a command: what it does, how it is called, its arguments and options."""
    group: Any = typer.main.get_command(app)
    return "\n\n".join(_command(name, command) for name, command in group.commands.items())


def _command(name: str, command: Any) -> str:
    parameters = [each for each in command.params if not each.hidden and each.name != "help"]
    said, *examples = re.split(r"\n\s*Example: ", command.help or "", maxsplit=1)
    usage = " ".join([PROGRAM, name, *_usage(parameters)])
    parts = [f"## `{PROGRAM} {name}`", said.strip(), f"```sh\n{usage}\n```"]
    if parameters:
        parts.append(table(("argument", "default", ""), map(_cells, parameters)))
    if examples:
        example, *rest = examples[0].split("\n\n")
        parts += [f"Example: `{' '.join(example.split())}`", *rest]
    return "\n\n".join(parts)


def _usage(parameters: list[Any]) -> list[str]:
    given = [_said(each) for each in parameters if each.required]
    return given + (["[OPTIONS]"] if len(given) < len(parameters) else [])


def _said(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name.upper())
    return f"{parameter.opts[0]} {parameter.name.upper()}"


def _cells(parameter: Any) -> tuple[str, str, str]:
    argument = parameter.param_type_name == "argument"
    name = parameter.name.upper() if argument else ", ".join(parameter.opts)
    flag = not argument and parameter.is_flag
    default = "**required**" if parameter.required else "off" if flag else _default(parameter.default)
    return f"`{name}`", default, parameter.help or ""


def _default(value: object) -> str:
    return "" if value in (None, "") else f"`{value}`"
