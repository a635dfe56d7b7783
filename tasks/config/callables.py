"""Functions that a configuration names as `package.module:function`.

On a server whoever may start a flow run may name any function that Python can import, so there only the
packages that the settings allow are imported at all, and a function must be defined in one of them: the
name of what a module merely imports would reach everything.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from typing import Any

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.config.spoken import CALLABLE
from paddle_int8.tasks.contracts.errors import ConfigError


def brief(function: str) -> str:
    """`package.module:function` as `module.function`, for people."""
    module, _, name = function.partition(":")
    return f"{module.rpartition('.')[2]}.{name}"


def imported(name: str) -> Any:
    """What `name` stands for.

    Raises: ConfigError when it is not allowed here; whatever importing it raises.
    """
    require_allowed(name)
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function)
    defined_in = str(getattr(found, "__module__", module))
    if not _allowed(defined_in):
        raise _refused(f"{name}, which {defined_in} defines")
    return found


def require_allowed(name: str) -> None:
    """Raises: ConfigError, before anything is imported, when a flow run of a server may not name it."""
    if not _allowed(name.partition(":")[0]):
        raise _refused(name)


def require_all_allowed(config: Section) -> None:
    """As `require_allowed`, of every function that `config` names."""
    for name in named_in(config):
        require_allowed(name)


def named_in(value: object) -> Iterator[str]:
    """Every `package.module:function` below `value`, but for what is passed to these functions."""
    match value:
        case Section():
            for field in type(value).model_fields:
                if field != "arguments":
                    yield from named_in(getattr(value, field))
        case tuple():
            for item in value:
                yield from named_in(item)
        case str() if re.fullmatch(CALLABLE, value):
            yield value


def modules_named(plain: object) -> set[str]:
    """The module of every `package.module:function` in plain JSON values."""
    match plain:
        case dict() | list():
            items = plain.values() if isinstance(plain, dict) else plain
            return set().union(*map(modules_named, items))
        case str() if re.fullmatch(CALLABLE, plain):
            return {plain.partition(":")[0]}
    return set()


def _allowed(module: str) -> bool:
    settings = Settings()
    return not settings.served or any(
        module == package or module.startswith(f"{package}.") for package in settings.allowed_callables
    )


def _refused(found: str) -> ConfigError:
    return ConfigError(
        found=f"a function of a package that this worker does not allow: {found}",
        required=f"one of {', '.join(Settings().allowed_callables) or 'no package'}",
        remedy="add its package to PADDLE_INT8_ALLOWED_CALLABLES on the workers, if you trust all of it",
    )
