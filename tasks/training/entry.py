"""Runs a training function, one of the zoo's or the user's own, in the isolated process."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import inspect
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from paddle_int8.tasks.config.callables import brief, require_allowed
from paddle_int8.tasks.config.model import TrainedModel
from paddle_int8.tasks.contracts.errors import DataError, PipelineError, TrainingError
from paddle_int8.tasks.data.sources.callable import resolve
from paddle_int8.tasks.engines.paddle.files import FILES
from paddle_int8.tasks.process.progress import report
from paddle_int8.tasks.store.folder import file_digest

logger = logging.getLogger(__name__)


def run_training(config: TrainedModel, folder: Path, checkpoint: Path | None = None) -> None:
    """Calls `function(folder, progress, **arguments)` and checks that it exported a model.

    checkpoint: a folder that outlives a killed run. It is passed to functions with a parameter of this name.
    Raises: TrainingError when the function exported no model, or raised anything but a PipelineError;
    DataError when there is no such function.
    """
    function = resolve(config.train)
    try:
        resumable = (
            {"checkpoint": checkpoint} if "checkpoint" in inspect.signature(function).parameters else {}
        )
        function(folder, partial(report, title(config)), **(resumable | config.arguments))
    except PipelineError:
        raise
    except Exception as error:  # the user's function may raise anything
        logger.exception("%s failed", config.train)
        raise TrainingError(
            found=f"{config.train} raised {type(error).__name__}: {error}",
            required="a function `(folder, progress, **arguments)` that trains and exports a model",
            remedy="correct the function or `model.arguments`; the log of this step has the traceback",
        ) from error
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise TrainingError(
            found=f"{config.train} wrote no {', '.join(missing)}",
            required=f"{' and '.join(FILES)} in the folder it is given",
            remedy="end it with `paddle.jit.save(model, str(folder / 'model'), input_spec=[...])`",
        )


def title(config: TrainedModel) -> str:
    """The name of the training step, such as `train fashion_mnist.train_classifier resnet50`.

    The argument `name` is part of it, so that several trainings at once can be told apart.
    """
    return f"train {brief(config.train)} {config.arguments.get('name', '')}".strip()


def source_digest(config: TrainedModel) -> str:
    """SHA-256 of the module that `train` names, so that a changed recipe trains anew.

    If the module is in a package, the modules of that package which it imports count too, and those that they
    import in turn. None of them is imported here, since they may import Paddle.
    Raises: DataError when there is no such module.
    """
    require_allowed(config.train)  # checked first, since finding a module imports its parent packages
    module = config.train.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
        file = Path(spec.origin or "") if spec else Path(module)
        files = sorted({file, *_imported_beside(file, module.rpartition(".")[0])})
        digests = [f"{each.name} {file_digest(each)}" for each in files]
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()
    except (ImportError, ValueError, OSError) as error:
        raise DataError(
            found=f"no module {module} ({error})",
            required="`package.module:function` in a Python file",
            remedy="correct `model.train`; PYTHONPATH must reach the module",
        ) from error


def _imported_beside(file: Path, package: str) -> set[Path]:
    """The files of the modules in `package` that `file` imports, directly or through one another."""
    found: set[Path] = set()
    waiting = [file] if package else []
    while waiting:
        source = waiting.pop()
        if source.suffix != ".py":  # the imports of a compiled module cannot be read
            continue
        for name in _imports(ast.parse(source.read_bytes()), package):
            beside = file.parent / f"{name}.py"
            if beside.is_file() and beside not in found:
                found.add(beside)
                waiting.append(beside)
    return found


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """The first name below `package` of everything that is imported from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            base = f"{package}.{origin}".rstrip(".") if node.level == 1 else origin
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.startswith(f"{package}."):
                yield name.removeprefix(f"{package}.").partition(".")[0]
