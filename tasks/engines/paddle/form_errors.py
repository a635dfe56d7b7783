"""Errors for models in a form that a command does not take. They name the form, and a command that works."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from paddle_int8.tasks.config.model import ModelFiles
from paddle_int8.tasks.contracts.errors import ConversionError, ModelFormatError
from paddle_int8.tasks.engines.paddle.files import ModelSource, find_model
from paddle_int8.tasks.engines.paddle.form import Form, Recognised, form_of, recognise
from paddle_int8.tasks.engines.paddle.params import expected_headers, holds_integer_weights

UNQUANTIZED = "name the model from before quantization in `model.path` of a release"
RELEASE = "name it in `model.path` of a release's YAML file and run `paddle-int8 release` on that file"


def require_float(source: ModelSource) -> None:
    """Requires a model in floating point. Raises: ModelFormatError when it is quantized in any way."""
    found = recognise(source)
    if found.form is Form.FLOAT:
        return
    remedy = UNQUANTIZED
    if found.form is not Form.WEIGHTS:
        remedy += ", and this one in `candidates` beside it"
    if found.form in (Form.QDQ, Form.FAKE_QUANT):
        remedy += f"; or make this one fit to serve: `{convert_command(source)}`"
    elif found.form.converted:
        remedy += f"; or see what of this one runs in INT8: `{audit_command(source)}`"
    raise ModelFormatError(
        found=f"{source.program} is quantized already: {found}",
        required="the trained model in floating point",
        remedy=remedy,
    )


def require_convertible(source: ModelSource, accepted: Collection[Form]) -> Form:
    """The form of `source`, one of `accepted`. Raises: ConversionError when it is another."""
    found = recognise(source)
    if found.form in accepted:
        return found.form
    raise ConversionError(
        found=_unconvertible(source, found),
        required=f"a quantized model {' or '.join(form.value for form in accepted)}",
        remedy=_instead(source, found.form),
    )


def require_runnable(source: ModelSource) -> Form:
    """The form of `source`. Isolated process only.

    Raises: ModelFormatError when it holds integer weights for which CPUs have no kernel.
    """
    from paddle_int8.tasks.engines.paddle.program import parse_program

    desc = parse_program(source.readable.read_bytes(), source.program)
    found = form_of(desc)
    if found.form is Form.WEIGHTS and holds_integer_weights(source, expected_headers(desc)):
        raise ModelFormatError(
            found=f"{source.program} is {found}: no CPU multiplies integer weights by FP32 activations",
            required="a model in floating point, or one whose activations are quantized too",
            remedy=f"{UNQUANTIZED}, which quantizes activations too",
        )
    return found.form


def _unconvertible(source: ModelSource, found: Recognised) -> str:
    match found.form:
        case Form.FLOAT:
            return f"{source.program} was never quantized: it holds no quantization operators"
        case Form.WEIGHTS:
            return f"{source.program} is {found}, and oneDNN needs activations quantized too"
        case _:
            return f"{source.program} is {found}{' already' if found.form.converted else ''}"


def _instead(source: ModelSource, form: Form) -> str:
    match form:
        case Form.FLOAT:
            return f"a release quantizes and converts it: {RELEASE}"
        case Form.WEIGHTS:
            return f"{UNQUANTIZED}, which quantizes activations too"
        case Form.QDQ | Form.FAKE_QUANT:
            return f"convert it by its own format: `{convert_command(source)}`"
        case _:
            return f"serve it as it is; see what of it runs in INT8: `{audit_command(source)}`"


def convert_command(source: ModelSource) -> str:
    """The command line that converts `source` into a folder beside its own."""
    folder = source.program.parent
    words = ["--quant_model_path", str(folder), "--int8_model_save_path", f"{folder}-int8"]
    if not _found_in_folder(source):
        words += ["--quant_model_filename", source.program.name]
        words += ["--quant_params_filename", source.params.name] if source.params else []
    return _command("convert", words)


def audit_command(source: ModelSource) -> str:
    """The command line that audits `source`."""
    if _found_in_folder(source):
        return _command("audit", [str(source.program.parent)])
    params = ["--params_filename", source.params.name] if source.params else []
    return _command("audit", [str(source.program), *params])


def _found_in_folder(source: ModelSource) -> bool:
    """Whether the folder's path alone leads to the same files."""
    try:
        found = find_model(ModelFiles(path=source.program.parent))
    except ModelFormatError:
        return False
    return (found.program, found.params) == (source.program, source.params)


def _command(name: str, words: list[str]) -> str:
    return f"paddle-int8 {name} {' '.join(shlex.quote(word) for word in words)}"
