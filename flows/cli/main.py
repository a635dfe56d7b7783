"""`paddle-int8`: the command line.

Exit status: 0 approved or done, 3 rejected, 4 inconclusive, 2 usage or configuration, 1 failure.
Heavy imports happen inside the commands, so that `--help` is instant and Prefect reads the settings
that `surroundings.prepare` makes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from paddle_int8.flows.cli import registry as registry_cli
from paddle_int8.flows.cli.console import Json, err, out
from paddle_int8.flows.cli.console import guard as _guard
from paddle_int8.flows.cli.console import print_json as _print_json
from paddle_int8.tasks.process.loopback import past_proxies

if TYPE_CHECKING:
    from paddle_int8.tasks.contracts.vocabulary import Outcome

app = typer.Typer(
    help="From a trained PaddlePaddle model to an INT8 model for x86 servers, with proof.\n\n"
    "Exit status: 0 approved or done, 3 rejected, 4 inconclusive, 2 usage or configuration, 1 failure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(registry_cli.app)


@app.command()
def hardware(json_output: Json = False) -> None:
    """What this host is: CPU, instruction set as oneDNN uses it, published speed-up, what it can emulate.

    Example: paddle-int8 hardware --json
    """
    from paddle_int8.flows.cli.terminal import print_host
    from paddle_int8.tasks.hardware.profile import host_profile

    profile = _guard(host_profile)
    if json_output:
        _print_json("hardware", profile)
    else:
        print_host(out, profile)


@app.command()
def release(
    config: Annotated[Path, typer.Argument(help="A release's YAML file, such as those in configs/.")],
    json_output: Json = False,
) -> None:
    """Quantize, convert, validate and judge a model: from FP32 files to a verdict, a report and a version.

    Example: paddle-int8 release configs/digits_mobilenet_v1.yaml

    Exit status: 0 approved, 3 rejected, 4 inconclusive, 2 configuration, 1 failure.
    """
    from paddle_int8.flows.cli.embedded import surroundings
    from paddle_int8.tasks.config.file import load_config
    from paddle_int8.tasks.config.settings import Settings

    # where users keep their functions; behind all else, so that none of their files stands in for a library
    sys.path += [str(Path.cwd()), str(config.resolve().parent)]
    loaded = _guard(lambda: load_config(config))
    settings = Settings()
    _guard(lambda: surroundings.prepare(settings))

    from paddle_int8.flows.cli.terminal import StepDisplay, print_release

    if not json_output:
        out.print(f"[bold]release {loaded.name}[/]  [dim]{config}[/]", highlight=False)

    def load() -> Any:
        from paddle_int8.flows.release import release as release_flow

        return release_flow

    from paddle_int8.flows.server.lifecycle.cancellation import cancellable

    with cancellable(_say_cancelled), StepDisplay(err).shown():
        result = _guard(lambda: surroundings.run_flow(settings, load, loaded))
    if json_output:
        _print_json("release", result)
    else:
        print_release(out, result)
    raise typer.Exit(_status(result.outcome))


@app.command("published-table")
def published_table(
    configs: Annotated[Path, typer.Option(help="The folder of the releases.")] = Path("configs/published"),
    only: Annotated[list[str] | None, typer.Option(help="A row's key; may be repeated.")] = None,
    column: Annotated[str | None, typer.Option(help="`speed` or `accuracy` alone.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Speeds only, few repetitions.")] = False,
    imagenet_root: Annotated[Path | None, typer.Option(help="Image accuracy on this ImageNet.")] = None,
    imagenet_models: Annotated[Path | None, typer.Option(help="Its weights; else ROOT/models.")] = None,
    imagenet_samples: Annotated[int | None, typer.Option(help="Validation pictures; else all.")] = None,
    task_runner: Annotated[
        str | None, typer.Option(help="`threads`, or `dask`: where candidates are built.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="Also write the Markdown here.")] = None,
) -> None:
    """Measure every published row on this machine and print the tables with what came out.

    A model that is done and unchanged is not run again. A row that fails says why, and the rest goes on.
    Of what is not asked for, the table shows what an earlier run measured.

    Example: paddle-int8 published-table --quick
    """
    from paddle_int8.flows.cli.embedded import surroundings
    from paddle_int8.flows.server.lifecycle.cancellation import cancellable
    from paddle_int8.tasks.config.settings import Settings
    from paddle_int8.tasks.promotion.request import checked
    from paddle_int8.tasks.published.request import TableRequest

    asked: dict[str, Any] = {"only": tuple(only or ()), "column": column, "quick": quick}
    asked |= {"configs": configs.resolve(), "task_runner": task_runner}
    if imagenet_root or imagenet_models or imagenet_samples:
        folders = {"root": imagenet_root, "models": imagenet_models}
        asked["imagenet"] = {name: path and path.resolve() for name, path in folders.items()}
        asked["imagenet"]["samples"] = imagenet_samples
    request = _guard(lambda: checked(TableRequest, asked))
    settings = Settings()
    _guard(lambda: surroundings.prepare(settings))
    from paddle_int8.flows.cli.terminal import StepDisplay

    def load() -> Any:
        from paddle_int8.flows.published_table import published_table as table_flow

        return table_flow

    with cancellable(_say_cancelled), StepDisplay(err).shown():
        path = _guard(lambda: surroundings.run_flow(settings, load, request))[1]
    text = path.read_text(encoding="utf-8")
    if save is not None:
        save.write_text(text, encoding="utf-8")
    out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def convert(
    quant_model_path: Annotated[Path, typer.Option("--quant_model_path", help="PaddleSlim's model.")],
    int8_model_save_path: Annotated[Path, typer.Option("--int8_model_save_path", help="Where to.")],
    ops_to_quantize: Annotated[
        str, typer.Option("--ops_to_quantize", help="Comma-separated; empty means all that can be.")
    ] = "",
    op_ids_to_skip: Annotated[
        str, typer.Option("--op_ids_to_skip", help="Comma-separated operator ids that stay FP32.")
    ] = "",
    debug: Annotated[bool, typer.Option("--debug", help="Draw the graph after every pass.")] = False,
    quant_model_filename: Annotated[
        str, typer.Option("--quant_model_filename", help="The program's file in --quant_model_path.")
    ] = "",
    quant_params_filename: Annotated[
        str, typer.Option("--quant_params_filename", help="The parameters' file in --quant_model_path.")
    ] = "",
    save_model_filename: Annotated[
        str, typer.Option("--save_model_filename", help="The file to write the program to.")
    ] = "",
    save_params_filename: Annotated[
        str, typer.Option("--save_params_filename", help="The file to write the parameters to.")
    ] = "",
    json_output: Json = False,
) -> None:
    """Turn a quantized model into INT8: the published save_quant_model.py, repaired.

    A fake-quant model becomes one of layout `offline`, a QDQ model one of layout `qdq`.

    Example: paddle-int8 convert --quant_model_path quant --int8_model_save_path int8
    """
    from paddle_int8.flows.server.lifecycle.cancellation import cancellable
    from paddle_int8.tasks.config.settings import Settings
    from paddle_int8.tasks.engines.paddle.conversion.save_quant_model import ConvertOptions, save_quant_model

    options = ConvertOptions(
        quant_model_path=quant_model_path,
        int8_model_save_path=int8_model_save_path,
        ops_to_quantize=ops_to_quantize,
        op_ids_to_skip=op_ids_to_skip,
        debug=debug,
        quant_model_filename=quant_model_filename,
        quant_params_filename=quant_params_filename,
        save_model_filename=save_model_filename,
        save_params_filename=save_params_filename,
    )
    log = Settings().root / "logs" / "convert.log"
    with cancellable(_say_cancelled):
        converted = _guard(lambda: save_quant_model(options, log=log))
    if json_output:
        _print_json("convert", converted)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(converted.int8_ops.items()))
        text = f"INT8: {counts}\nlayout {converted.layout}, saved in {int8_model_save_path}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)


@app.command()
def audit(
    model: Annotated[Path, typer.Argument(help="A model directory or a bundle.")],
    layout: Annotated[
        str | None, typer.Option(help="`offline`, `qdq` or `fp32`; read from the model when not given.")
    ] = None,
    params_filename: Annotated[
        str, typer.Option("--params_filename", help="Its parameters, where the program's name does not tell.")
    ] = "",
    json_output: Json = False,
) -> None:
    """What oneDNN really executes for a model: INT8, BF16 and FP32 primitives by count and by time.

    Example: paddle-int8 audit var/artifacts/deployable/…
    """
    from paddle_int8.flows.cli.terminal import print_audit
    from paddle_int8.tasks.validation.audit_model import audit_isolated

    result = _guard(lambda: audit_isolated(model, layout, params_filename=params_filename or None))
    if json_output:
        _print_json("audit", result)
    else:
        print_audit(out, result)


@app.command()
def ui(
    prefect_port: Annotated[int, typer.Option(help="Of Prefect's pages.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Of MLflow's pages.")] = 5000,
) -> None:
    """Prefect's and MLflow's own pages on what the embedded runs left behind, until Ctrl-C."""
    from paddle_int8.flows.cli.embedded import surroundings
    from paddle_int8.flows.cli.embedded.pages import serve_pages
    from paddle_int8.tasks.config.settings import Settings

    settings = Settings()
    _guard(lambda: surroundings.prepare(settings))
    _guard(lambda: serve_pages(settings, prefect_port=prefect_port, mlflow_port=mlflow_port, say=out.print))


@app.command()
def deploy(
    file: Annotated[Path, typer.Option(help="Prefect's deployment file.")] = Path("prefect.yaml"),
    pool: Annotated[
        str | None, typer.Option(help="Of the deployments without an own pool; this host's by default.")
    ] = None,
) -> None:
    """Register the deployments and work pools on the server at PREFECT_API_URL; safe to repeat.

    Example: PREFECT_API_URL=http://127.0.0.1:4200/api paddle-int8 deploy
    """
    from paddle_int8.flows.server.deployments import pools, registration
    from paddle_int8.tasks.config.settings import Settings

    chosen = _guard(lambda: pools.require_pool(pool or pools.host_pool()))
    printed = _guard(lambda: registration.deploy(Settings(), file, chosen))
    out.print(printed, highlight=False, markup=False)
    out.print(f"now start a worker: paddle-int8 worker --pool {chosen}", highlight=False)


@app.command()
def worker(
    pool: Annotated[str | None, typer.Option(help="Work pool; that of this host's CPU by default.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Flow runs at a time.")] = 1,
    health_port: Annotated[int, typer.Option(help="Of GET /health, on loopback.")] = 8080,
) -> None:
    """Run what the server at PREFECT_API_URL schedules for this host, until Ctrl-C.

    Example: PREFECT_API_URL=http://127.0.0.1:4200/api paddle-int8 worker
    """
    from paddle_int8.flows.server.deployments import pools
    from paddle_int8.flows.server.worker.startup import become_worker
    from paddle_int8.tasks.config.settings import Settings

    chosen = _guard(lambda: pools.require_pool(pool or pools.host_pool()))
    _guard(lambda: become_worker(Settings(), pool=chosen, limit=limit, health_port=health_port))


def _say_cancelled(text: str) -> None:
    err.print(f"[yellow]{text}[/]")


def _status(outcome: Outcome) -> int:
    return {"approved": 0, "rejected": 3, "inconclusive": 4}[outcome.value]


def main() -> None:
    """The program; a wrong variable of the environment, which any command may read first, is told too."""
    from paddle_int8.tasks.contracts.errors import ConfigError

    os.environ.update(past_proxies(os.environ))
    try:
        app()
    except ConfigError as error:
        from paddle_int8.flows.cli.terminal import print_error

        print_error(err, error)
        sys.exit(2)
