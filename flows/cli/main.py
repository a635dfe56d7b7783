"""The program `paddle-int8`.

Exit status: 0 approved or done, 3 rejected, 4 inconclusive, 2 usage or configuration, 1 failure.
Heavy imports happen inside the commands, so that `--help` is instant and Prefect reads the settings
that `surroundings.prepare` makes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from paddle_int8.flows.cli import first_steps
from paddle_int8.flows.cli import registry as registry_cli
from paddle_int8.flows.cli.console import Json, err, out, say_cancelled
from paddle_int8.flows.cli.console import guard as _guard
from paddle_int8.flows.cli.console import print_json as _print_json
from paddle_int8.flows.cli.running import load_release, prepared, run_shown
from paddle_int8.tasks.process.loopback import past_proxies

if TYPE_CHECKING:
    from collections.abc import Callable

    from paddle_int8.tasks.config.release import ReleaseConfig
    from paddle_int8.tasks.contracts.sensitivity import Sensitivity
    from paddle_int8.tasks.contracts.verdict import Release
    from paddle_int8.tasks.contracts.vocabulary import Outcome
    from paddle_int8.tasks.published.table import Table

app = typer.Typer(
    help="Turns a trained PaddlePaddle model into an INT8 model for x86 servers, and proves what it is "
    "worth.\n\nExit status: 0 approved or done, 3 rejected, 4 inconclusive, 2 wrong usage or configuration, "
    "1 failure.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(first_steps.app)
app.add_typer(registry_cli.app)


@app.command()
def hardware(json_output: Json = False) -> None:
    """Show this host's CPU, the instruction set oneDNN uses, its published speed-up, and what it emulates.

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
    config: Annotated[Path, typer.Argument(help="YAML file of the release; examples are in configs/.")],
    json_output: Json = False,
) -> None:
    """Quantize, convert, validate and judge a model, and register it in MLflow when it is approved.

    Example: paddle-int8 release configs/digits_mobilenet_v1.yaml

    Exit status: 0 approved, 3 rejected, 4 inconclusive, 2 wrong configuration, 1 failure.
    """
    if not json_output:  # before the first import that takes its time
        out.print(f"[bold]release[/] {config}", highlight=False)
    loaded = load_release(config)
    settings = prepared()

    from paddle_int8.flows.cli.terminal import print_release

    def load() -> Callable[[ReleaseConfig], Release]:
        from paddle_int8.flows.release import release as release_flow

        return release_flow

    result = run_shown(settings, load, loaded)
    if json_output:
        _print_json("release", result)
    else:
        print_release(out, result)
    raise typer.Exit(_status(result.outcome))


@app.command()
def sensitivity(
    config: Annotated[Path, typer.Argument(help="YAML file of a release.")],
    most: Annotated[int, typer.Option(min=1, help="How many operators to list, the worst first.")] = 10,
    json_output: Json = False,
) -> None:
    """Show what each operator costs when it alone is quantized, by the layer's name, and the likely reason.

    Nothing is converted or timed: PaddleSlim calibrates the first candidate of the release, and its operators
    are simulated one by one on a few calibration samples. Layers that cost much are what
    `quantization.keep_fp32` is for.

    Example: paddle-int8 sensitivity configs/digits_mobilenet_v1.yaml
    """
    loaded = load_release(config)
    settings = prepared()
    from paddle_int8.flows.cli.sensitivity_table import print_sensitivity

    def load() -> Callable[[ReleaseConfig], Sensitivity]:
        from paddle_int8.flows.sensitivity import sensitivity as sensitivity_flow

        return sensitivity_flow

    measured = run_shown(settings, load, loaded)
    if json_output:
        _print_json("sensitivity", measured)
    else:
        print_sensitivity(out, measured, most)


@app.command("published-table")
def published_table(
    configs: Annotated[Path, typer.Option(help="Folder of the releases' YAML files.")] = Path(
        "configs/published"
    ),
    only: Annotated[
        list[str] | None, typer.Option(help="Measure only this row, such as `resnet50`; may be repeated.")
    ] = None,
    column: Annotated[
        str | None, typer.Option(help="Measure only this half of each row: `speed` or `accuracy`.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Measure speeds only, with few repetitions and samples.")
    ] = False,
    imagenet_root: Annotated[
        Path | None, typer.Option(help="Measure the accuracy of image models on the ImageNet in this folder.")
    ] = None,
    imagenet_models: Annotated[
        Path | None, typer.Option(help="Folder of the weights for ImageNet; `models` in its root by default.")
    ] = None,
    imagenet_samples: Annotated[
        int | None, typer.Option(help="Number of ImageNet's validation pictures; all by default.")
    ] = None,
    task_runner: Annotated[
        str | None, typer.Option(help="Where candidates are built: `threads` of this host, or `dask`.")
    ] = None,
    save: Annotated[Path | None, typer.Option(help="File to write the Markdown to as well.")] = None,
) -> None:
    """Measure the rows of Paddle's published tables on this machine, and print both side by side.

    A model whose release is done and unchanged is not run again.
    When a row fails, the table shows the reason, and the other rows go on.
    For rows that are not asked for, the table shows what an earlier run measured.

    Example: paddle-int8 published-table --quick
    """
    from paddle_int8.tasks.promotion.request import checked
    from paddle_int8.tasks.published.request import TableRequest

    asked: dict[str, object] = {"only": tuple(only or ()), "column": column, "quick": quick}
    asked |= {"configs": configs.resolve(), "task_runner": task_runner}
    if imagenet_root or imagenet_models or imagenet_samples:
        folders = {"root": imagenet_root, "models": imagenet_models}
        resolved = {name: path and path.resolve() for name, path in folders.items()}
        asked["imagenet"] = {**resolved, "samples": imagenet_samples}
    request = _guard(lambda: checked(TableRequest, asked))
    settings = prepared()

    def load() -> Callable[[TableRequest], tuple[Table, Path]]:
        from paddle_int8.flows.published_table import published_table as table_flow

        return table_flow

    path = run_shown(settings, load, request)[1]
    text = path.read_text(encoding="utf-8")
    if save is not None:
        save.write_text(text, encoding="utf-8")
    out.print(text, markup=False, highlight=False, soft_wrap=True)


@app.command()
def convert(
    quant_model_path: Annotated[
        Path, typer.Option("--quant_model_path", help="Folder of the model that PaddleSlim quantized.")
    ],
    int8_model_save_path: Annotated[
        Path, typer.Option("--int8_model_save_path", help="Folder to write the INT8 model to.")
    ],
    ops_to_quantize: Annotated[
        str,
        typer.Option(
            "--ops_to_quantize", help="Comma-separated operator types to run in INT8; empty means all."
        ),
    ] = "",
    op_ids_to_skip: Annotated[
        str, typer.Option("--op_ids_to_skip", help="Comma-separated operator ids that stay in FP32.")
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
    """Convert a quantized model to INT8. This is Paddle's published save_quant_model.py, with repairs.

    A model in the fake-quant format gets the layout `offline`, a model in the QDQ format the layout `qdq`.

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
    with cancellable(say_cancelled):
        converted = _guard(lambda: save_quant_model(options, log=log))
    if json_output:
        _print_json("convert", converted)
    else:
        counts = ", ".join(f"{count} {name}" for name, count in sorted(converted.int8_ops.items()))
        text = f"INT8: {counts}\nlayout {converted.layout}, saved in {int8_model_save_path}"
        out.print(text, highlight=False, markup=False, soft_wrap=True)


@app.command()
def audit(
    model: Annotated[Path, typer.Argument(help="Folder of a model, its program file, or a bundle.")],
    layout: Annotated[
        str | None,
        typer.Option(
            help="Layout of the model, such as `offline`, `qdq` or `fp32`; found in the model by default."
        ),
    ] = None,
    params_filename: Annotated[
        str,
        typer.Option(
            "--params_filename", help="File of the parameters, if its name differs from the program's."
        ),
    ] = "",
    json_output: Json = False,
) -> None:
    """Show what oneDNN really executes for a model: INT8, BF16 and FP32 primitives by count and by time.

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
    prefect_port: Annotated[int, typer.Option(help="Port of Prefect's pages.")] = 4200,
    mlflow_port: Annotated[int, typer.Option(help="Port of MLflow's pages.")] = 5000,
) -> None:
    """Prefect's and MLflow's own pages on what the embedded runs left behind, until Ctrl-C."""
    from paddle_int8.flows.cli.embedded.pages import serve_pages

    settings = prepared()
    _guard(lambda: serve_pages(settings, prefect_port=prefect_port, mlflow_port=mlflow_port, say=out.print))


@app.command()
def deploy(
    file: Annotated[Path, typer.Option(help="Prefect's deployment file.")] = Path("prefect.yaml"),
    pool: Annotated[
        str | None,
        typer.Option(help="Work pool of the deployments that name none; this host's pool by default."),
    ] = None,
) -> None:
    """Register deployments and work pools with the server at PREFECT_API_URL. Repeating it is safe.

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
    pool: Annotated[
        str | None, typer.Option(help="Work pool; the one of this host's CPU by default.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most flow runs at a time.")] = 1,
    health_port: Annotated[int, typer.Option(help="Port of GET /health, on loopback only.")] = 8080,
) -> None:
    """Run the flow runs that the server at PREFECT_API_URL schedules for this host, until Ctrl-C.

    Example: PREFECT_API_URL=http://127.0.0.1:4200/api paddle-int8 worker
    """
    from paddle_int8.flows.server.deployments import pools
    from paddle_int8.flows.server.worker.startup import become_worker
    from paddle_int8.tasks.config.settings import Settings

    chosen = _guard(lambda: pools.require_pool(pool or pools.host_pool()))
    _guard(lambda: become_worker(Settings(), pool=chosen, limit=limit, health_port=health_port))


def _status(outcome: Outcome) -> int:
    return {"approved": 0, "rejected": 3, "inconclusive": 4}[outcome.value]


def main() -> None:
    """Runs the program. Any command can fail on a wrong environment variable, so that error is shown too."""
    from paddle_int8.tasks.contracts.errors import ConfigError

    os.environ.update(past_proxies(os.environ))
    try:
        app()
    except ConfigError as error:
        from paddle_int8.flows.cli.terminal import print_error

        print_error(err, error)
        sys.exit(2)
