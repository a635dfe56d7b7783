"""The commands before a first release: `init` and `check`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paddle_int8.flows.cli.console import Json, err, guard, out, print_json, say_cancelled
from paddle_int8.flows.cli.running import load_release

if TYPE_CHECKING:
    from paddle_int8.tasks.drafting.draft import Draft, DraftRequest

app = typer.Typer()
Size = Annotated[
    str | None,
    typer.Option(help="Height and width of the pictures, such as `224x224`, if the model leaves them free."),
]
Placement = Annotated[
    str | None, typer.Option(help="How pictures are brought to that size: `crop` or `whole`.")
]
Values = Annotated[
    str | None, typer.Option(help="Values that the model reads: `imagenet`, `half`, `unit` or `raw`.")
]
Margin = Annotated[str | None, typer.Option(help="Percentage points of accuracy that INT8 may lose.")]
Count = Annotated[str | None, typer.Option(help="How many samples validate, where there are very many.")]
Unpack = Annotated[str | None, typer.Option(help="Folder to unpack an archive into.")]
Renumber = Annotated[
    str | None, typer.Option(help="`yes` writes the labels in the order of classes that FP32's answers fit.")
]
Classes = Annotated[
    Path | None,
    typer.Option(help="File with a class folder's name a line, in the order of the model's output."),
]
Validation = Annotated[Path | None, typer.Option(help="Samples that decide; DATA then only calibrates.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File to write; `NAME.yaml` by default.")]
Name = Annotated[str | None, typer.Option(help="Name of the release; made of the model's path by default.")]
Program = Annotated[
    str | None, typer.Option("--model_filename", help="Program file, where it cannot be guessed.")
]
Params = Annotated[
    str | None, typer.Option("--params_filename", help="File of the parameters, where it cannot be guessed.")
]


@app.command()
def check(
    config: Annotated[Path, typer.Argument(help="YAML file of the release.")],
    model: Annotated[
        Path | None, typer.Option(help="Look at this exported model instead of the configuration's.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Show, in seconds, what a release would begin with: FP32's answers to a few samples beside their labels.

    A wrong order of classes or channels and a wrong preprocessing are seen before an hour is spent.
    The command says how many samples the margin needs, and how long the release will take.

    Example: paddle-int8 check my-classifier.yaml

    Exit status: 0 nothing is doubtful, 4 something is, 2 wrong configuration, 1 failure.
    """
    from paddle_int8.flows.cli.check_tables import print_check
    from paddle_int8.flows.cli.terminal import StepDisplay
    from paddle_int8.flows.server.lifecycle.cancellation import cancellable
    from paddle_int8.tasks.config.model import ModelFiles
    from paddle_int8.tasks.contracts.vocabulary import Outcome
    from paddle_int8.tasks.preview.check import check as look
    from paddle_int8.tasks.preview.findings import Check
    from paddle_int8.tasks.preview.source import files_of
    from paddle_int8.tasks.process import isolated

    isolated.warm_up()
    loaded = load_release(config)
    if model is not None:
        loaded = loaded.model_copy(update={"model": ModelFiles(path=model.resolve())})

    def checked() -> Check:
        with files_of(loaded) as files:
            return look(loaded, files)

    with cancellable(say_cancelled), StepDisplay(err).shown():
        found = guard(checked)
    if json_output:
        print_json("check", found)
    else:
        print_check(out, found)
    raise typer.Exit(0 if found.outcome is Outcome.APPROVED else 4)


@app.command()
def init(
    model: Annotated[Path, typer.Argument(help="Folder of the exported model, or its `.pdmodel` file.")],
    data: Annotated[
        Path,
        typer.Argument(
            help="Samples: class folders, a folder or a list of pictures, an `.npz`, IDX files, tagged text, "
            "or an archive."
        ),
    ],
    validation: Validation = None,
    output: Output = None,
    name: Name = None,
    classes: Classes = None,
    size: Size = None,
    placement: Placement = None,
    preprocessing: Values = None,
    margin: Margin = None,
    samples: Count = None,
    unpack: Unpack = None,
    renumber: Renumber = None,
    model_filename: Program = None,
    params_filename: Params = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take every default, ask nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that are there.")] = False,
    json_output: Json = False,
) -> None:
    """Write a first configuration, from a look at an exported model and its data.

    What they do not tell is asked; each question has an option of its own that answers it beforehand.
    Where the pictures have labels, the preprocessing is found by trying which makes FP32 right most often.

    Example: paddle-int8 init export images

    Exit status: 0 written, 2 a question without an answer or a file in the way, 1 unusable model or data.
    """
    given = {
        "size": size,
        "placement": placement,
        "preprocessing": preprocessing,
        "margin": margin,
        "samples": samples,
        "unpack": unpack,
        "renumber": renumber,
    }
    from paddle_int8.tasks.config.model import ModelFiles
    from paddle_int8.tasks.drafting.draft import DraftRequest

    files = ModelFiles(path=model.resolve(), model_filename=model_filename, params_filename=params_filename)
    request = DraftRequest(
        model=files,
        data=data,
        validation=validation,
        output=output,
        classes=classes,
        name=name,
        force=force,
    )
    written = _drafted(request, given, yes=yes)
    if json_output:
        print_json("init", written)
    else:
        from paddle_int8.flows.cli.check_tables import print_draft

        print_draft(out, written)


def _drafted(request: DraftRequest, given: dict[str, str | None], *, yes: bool) -> Draft:
    from paddle_int8.flows.cli.questions import prompt_on
    from paddle_int8.flows.cli.terminal import StepDisplay
    from paddle_int8.flows.server.lifecycle.cancellation import cancellable
    from paddle_int8.tasks.drafting.draft import draft
    from paddle_int8.tasks.drafting.questions import Interview
    from paddle_int8.tasks.process import isolated

    display = StepDisplay(err)
    interview = Interview(
        given={key: value for key, value in given.items() if value is not None},
        prompt=prompt_on(err, display),
        yes=yes,
    )
    guard(lambda: interview.require_answers(terminal=sys.stdin.isatty()))
    isolated.warm_up()
    with cancellable(say_cancelled), display.shown():
        return guard(lambda: draft(request, interview))
