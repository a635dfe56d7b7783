"""What every command of the command line shares: where it writes, and how its errors end it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

T = TypeVar("T")

Json = Annotated[
    bool, typer.Option("--json", help="Machine-readable; schema in docs/reference/json-output.md.")
]
out = Console()
err = Console(stderr=True)


def guard(action: Callable[[], T]) -> T:
    """`action()`, with a PipelineError shown as its message and the exit status that belongs to it."""
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


def print_json(command: str, value: Any) -> None:
    """The document of a command, see docs/reference/json-output.md."""
    from paddle_int8.tasks.contracts.verdict import Release
    from paddle_int8.tasks.tracking.schema import summary_json, wrap

    body = summary_json(value) if isinstance(value, Release) else wrap(command, value)
    typer.echo(json.dumps(body, indent=2))
