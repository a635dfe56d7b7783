"""What all commands share: the output streams, the option `--json`, and how an error ends a command."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console

T = TypeVar("T")

LOG_WIDTH = 110
"""The width of what is written to a file or a pipe, which have none; COLUMNS sets another."""

Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document; see docs/reference/json-output.md.")
]


def console(*, stderr: bool = False) -> Console:
    """A console on one of the program's streams, which is as wide as the terminal, or as a log needs."""
    made = Console(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = LOG_WIDTH
    return made


out = console()
err = console(stderr=True)


def guard(action: Callable[[], T]) -> T:
    """Returns `action()`. A PipelineError is printed and ends the program: ConfigError with 2, others 1."""
    from paddle_int8.flows.cli.terminal import print_error
    from paddle_int8.tasks.contracts.errors import ConfigError, PipelineError

    try:
        return action()
    except ConfigError as error:
        print_error(err, error)
        raise typer.Exit(2) from error
    except PipelineError as error:
        print_error(err, error)
        raise typer.Exit(1) from error


def say_cancelled(text: str) -> None:
    err.print(f"[yellow]{text}[/]")


def print_json(command: str, value: object) -> None:
    """Prints the result of a command as the JSON document that docs/reference/json-output.md describes."""
    from paddle_int8.tasks.contracts.verdict import Release
    from paddle_int8.tasks.tracking.schema import summary_json, wrap

    body = summary_json(value) if isinstance(value, Release) else wrap(command, value)
    typer.echo(json.dumps(body, indent=2))
