"""The commands for MLflow's registry: `promote`, `rollback`, `history`, `export`, `receive-webhooks`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from paddle_int8.flows.cli.console import Json, err, guard, out, print_json
from paddle_int8.flows.cli.running import prepared

if TYPE_CHECKING:
    from paddle_int8.tasks.config.section import Section
    from paddle_int8.tasks.promotion.decision import Decision
    from paddle_int8.tasks.promotion.request import PromoteRequest, RollbackRequest

R = TypeVar("R", bound="Section")
app = typer.Typer()
Model = Annotated[str, typer.Argument(help="Name of the registered model.")]
Isa = Annotated[
    str | None,
    typer.Option(
        help="Instruction set whose champion is meant (alias `champion-<isa>`); by default the champion for "
        "all (alias `champion`)."
    ),
]
Reason = Annotated[str, typer.Option(help="Why; kept in the record.")]
Who = Annotated[str, typer.Option(help="Who decides; kept in the record. Your user name by default.")]


@app.command()
def promote(
    model: Model,
    version: Annotated[
        int | None, typer.Option(help="Version to promote; the one at the alias `challenger` by default.")
    ] = None,
    isa: Isa = None,
    max_drop_pp: Annotated[
        float,
        typer.Option(
            help="Percentage points by which it may be worse than the champion, on the same samples."
        ),
    ] = 1.0,
    reason: Reason = "",
    who: Who = "",
    json_output: Json = False,
) -> None:
    """Make a version the champion.

    The gate must have approved it, its files must be unchanged,
    and it must not be worse than the present champion.

    Example: paddle-int8 promote digits-mobilenet-v1 --reason "new camera"

    Exit status: 0 done or unchanged, 3 refused, declined or lost to another decision, 2 usage, 1 failure.
    """

    def load() -> Callable[[PromoteRequest], Decision]:
        from paddle_int8.flows.promote import promote as flow

        return flow

    from paddle_int8.tasks.promotion.request import PromoteRequest

    fields = {"version": version, "max_drop_pp": max_drop_pp, "reason": reason, "who": who}
    _decide(load, PromoteRequest, {"model": model, "isa": isa, **fields}, json_output)


@app.command()
def rollback(
    model: Model, isa: Isa = None, reason: Reason = "", who: Who = "", json_output: Json = False
) -> None:
    """Make the champion before the present one champion again.

    Example: paddle-int8 rollback digits-mobilenet-v1 --reason "wrong labels in the new data"

    Exit status: 0 done, 3 refused or lost to another decision, 2 usage, 1 failure.
    """

    def load() -> Callable[[RollbackRequest], Decision]:
        from paddle_int8.flows.rollback import rollback as flow

        return flow

    from paddle_int8.tasks.promotion.request import RollbackRequest

    fields = {"model": model, "isa": isa, "reason": reason, "who": who}
    _decide(load, RollbackRequest, fields, json_output)


@app.command()
def history(model: Model, json_output: Json = False) -> None:
    """Show every decision on a model: who moved a champion, when, from which version to which, and why.

    Example: paddle-int8 history digits-mobilenet-v1
    """
    from paddle_int8.flows.cli.registry_tables import print_history
    from paddle_int8.tasks.config.settings import Settings
    from paddle_int8.tasks.promotion.ledger import history as read_history
    from paddle_int8.tasks.promotion.request import require_model

    found = guard(lambda: read_history(Settings().tracking_uri, require_model(model)))
    if json_output:
        print_json("history", found)
    else:
        print_history(out, found)


@app.command()
def export(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="Folder to write to; it must not exist yet.")],
    version: Annotated[
        int | None, typer.Option(help="Version to export; the one at `--alias` by default.")
    ] = None,
    alias: Annotated[str, typer.Option(help="Alias of the version to export.")] = "champion",
    json_output: Json = False,
) -> None:
    """Write a version's bundle with its Python and C++ examples, after checking its digest.

    Example: paddle-int8 export digits-mobilenet-v1 ./champion
    """
    from paddle_int8.tasks.config.settings import Settings
    from paddle_int8.tasks.promotion.export import export_bundle
    from paddle_int8.tasks.promotion.request import require_model

    bundle = guard(
        lambda: export_bundle(
            Settings().tracking_uri, require_model(model), folder, version=version, alias=alias
        )
    )
    if json_output:
        print_json("export", bundle)
    else:
        out.print(f"{bundle.folder}\n  python {bundle.folder}/examples/predict.py", highlight=False)


@app.command("receive-webhooks")
def receive_webhooks(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8090,
) -> None:
    """Wait for MLflow's webhooks until Ctrl-C, and start a release when a followed FP32 model is promoted.

    The command needs PADDLE_INT8_WEBHOOK_SECRET, PREFECT_API_URL,
    and the releases' YAML files in the folder PADDLE_INT8_CONFIGS.

    Example: paddle-int8 receive-webhooks --port 8090
    """
    from paddle_int8.flows.server.following.receiver import serve
    from paddle_int8.tasks.config.settings import Settings

    guard(lambda: serve(Settings(), host=host, port=port))


def _decide(
    load: Callable[[], Callable[[R], Decision]],
    kind: type[R],
    fields: Mapping[str, object],
    json_output: bool,
) -> None:
    """Runs the flow on the request, and ends the program with the status of its decision."""
    from paddle_int8.flows.cli.embedded import surroundings
    from paddle_int8.tasks.promotion.request import checked

    request = guard(lambda: checked(kind, fields))
    settings = prepared()

    from paddle_int8.flows.cli.registry_tables import print_decision
    from paddle_int8.flows.cli.terminal import StepDisplay

    with StepDisplay(err).shown():
        decision = guard(lambda: surroundings.run_flow(settings, load, request))
    if json_output:
        print_json(decision.action.value, decision)
    else:
        print_decision(out, decision)
    raise typer.Exit(0 if decision.outcome.value in ("done", "unchanged") else 3)
