"""The published procedure's `save_quant_model.py`, option for option, with its defects repaired.

A QDQ model, which the script does not take, is packed for the predictor.

Source: python/paddle/static/quantization/tests/save_quant_model.py in PaddlePaddle/Paddle.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import ConfigError, ConversionError, storage_error
from paddle_int8.tasks.engines.converted import ConvertedModel
from paddle_int8.tasks.engines.paddle.conversion.converted import require_int8
from paddle_int8.tasks.engines.paddle.conversion.offline import OfflineRequest, convert_offline
from paddle_int8.tasks.engines.paddle.conversion.qdq import convert_qdq
from paddle_int8.tasks.engines.paddle.files import find_model
from paddle_int8.tasks.engines.paddle.form import Form
from paddle_int8.tasks.engines.paddle.form_errors import require_convertible
from paddle_int8.tasks.engines.paddle.pir.source import readable
from paddle_int8.tasks.process.isolated import run_isolated


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions:
    """The script's options, by the script's names. Lists are separated by commas; "" is the script's default.

    `save_model_filename` without `save_params_filename` is a prefix, as in the script: `x` makes
    `x.pdmodel` and `x.pdiparams`, and none makes `__model__.pdmodel` and `__model__.pdiparams`.
    """

    quant_model_path: Path
    int8_model_save_path: Path
    ops_to_quantize: str = ""
    op_ids_to_skip: str = ""
    debug: bool = False
    quant_model_filename: str = ""
    quant_params_filename: str = ""
    save_model_filename: str = ""
    save_params_filename: str = ""


def save_quant_model(options: ConvertOptions, *, log: Path, timeout_s: float = 1800) -> ConvertedModel:
    """Converts in an isolated process, and moves the result to its path when it is whole.

    A save path that exists keeps its other files. Drawings of `debug` go into `debug/` below it.
    Raises: ConfigError for an option that cannot be read, else what `convert_by_form` and `require_int8` do.
    """
    model_filename, params_filename = _saved_names(options)
    # the script ignores the parameters' name without the model's
    params = options.quant_params_filename if options.quant_model_filename else ""
    source = find_model(
        ModelFiles(
            path=options.quant_model_path.absolute(),
            model_filename=options.quant_model_filename or None,
            params_filename=params or None,
        )
    )
    target = options.int8_model_save_path.absolute()
    with _beside(target) as folder:
        request = OfflineRequest(
            source=source,
            folder=folder,
            ops_to_quantize=_names(options.ops_to_quantize),
            op_ids_to_skip=_ids(options.op_ids_to_skip),
            debug=options.debug,
            model_filename=model_filename,
            params_filename=params_filename,
        )
        converted = run_isolated(convert_by_form, request, step="convert", log=log, timeout_s=timeout_s)
        require_int8(converted)
        _put(folder, target)
    return replace(converted, folder=target)


def convert_by_form(request: OfflineRequest) -> ConvertedModel:
    """Converts a model in one of PaddleSlim's two formats to that format's layout. Isolated process only.

    A PIR program is translated first.
    Raises: ConversionError for any other model, and for an option that a QDQ model has no use for; else what
    `convert_offline` and `convert_qdq` do.
    """
    with readable(request.source) as source:
        return _convert(replace(request, source=source))


def _convert(request: OfflineRequest) -> ConvertedModel:
    if require_convertible(request.source, (Form.FAKE_QUANT, Form.QDQ)) is Form.FAKE_QUANT:
        return convert_offline(request)
    options = ("ops_to_quantize", "op_ids_to_skip", "debug")
    if given := [f"--{name}" for name in options if getattr(request, name)]:
        raise ConversionError(
            found=f"{', '.join(given)} for {request.source.program}, which is {Form.QDQ}",
            required="a QDQ model without these options: its quantization says what becomes INT8",
            remedy=f"leave out {', '.join(given)}",
        )
    return convert_qdq(
        request.source,
        request.folder,
        model_filename=request.model_filename,
        params_filename=request.params_filename,
    )


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """An empty folder on `target`'s file system, gone at the end whatever happens."""
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        yield folder
    except OSError as error:
        raise storage_error(error, target.parent) from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _put(folder: Path, target: Path) -> None:
    """Moves the result to `target`: with one rename when `target` is new, file by file when it exists."""
    folder.chmod(0o755)  # mkdtemp's is private
    if not target.exists():
        folder.rename(target)
        return
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        destination = target / path.relative_to(folder)
        destination.parent.mkdir(parents=True, exist_ok=True)
        path.replace(destination)


def _saved_names(options: ConvertOptions) -> tuple[str, str]:
    model, params = options.save_model_filename, options.save_params_filename
    for name in (model, params):
        if name and Path(name).name != name:
            raise _unusable(f"the file name {name!r}", "a name without folders")
    prefix = model.removesuffix(".pdmodel") or "__model__"
    if params:
        return model or f"{prefix}.pdmodel", params
    return f"{prefix}.pdmodel", f"{prefix}.pdiparams"


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in _names(text))
    except ValueError as error:
        raise _unusable(f"--op_ids_to_skip {text}", "whole numbers separated by commas") from error


def _unusable(found: str, required: str) -> ConfigError:
    return ConfigError(found=found, required=required, remedy="see `paddle-int8 convert --help`")
