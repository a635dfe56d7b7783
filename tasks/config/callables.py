"""Functions that a configuration names as `package.module:function`.

Whoever may start a flow run on a server could otherwise have any importable function called. So a flow run
of a server imports only the packages that `PADDLE_INT8_ALLOWED_CALLABLES` lists, and the function must also
be defined in one of them: a module's own imports (`my_package.module:os`) would reach everything.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from paddle_int8.tasks.config.section import Section
from paddle_int8.tasks.config.settings import Settings
from paddle_int8.tasks.config.spoken import CALLABLE
from paddle_int8.tasks.contracts.errors import ConfigError


def brief(function: str) -> str:
    """`package.module:function` shortened to `module.function` for display."""
    module, _, name = function.partition(":")
    return f"{module.rpartition('.')[2]}.{name}"


def imported(name: str) -> object:
    """The function that `name` (`package.module:function`) stands for.

    Raises: ConfigError when it is not allowed here, and whatever the import of its module raises.
    """
    require_allowed(name)
    module, _, function = name.partition(":")
    found = getattr(importlib.import_module(module), function)
    defined_in = str(getattr(found, "__module__", module))
    if not _allowed(defined_in):
        raise _refused(f"{name}, which {defined_in} defines")
    return found


def require_allowed(name: str) -> None:
    """Checks, without an import, that a configuration may name this function here.

    Raises: ConfigError when this is a flow run of a server and the function's package is not allowed.
    """
    if not _allowed(name.partition(":")[0]):
        raise _refused(name)


def require_all_allowed(config: Section) -> None:
    """Applies `require_allowed` to every function that `config` names."""
    for name in named_in(config):
        require_allowed(name)


def named_in(value: object) -> Iterator[str]:
    """Every `package.module:function` in `value`, at any depth; the functions' arguments are not searched."""
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
    """The module of every `package.module:function` found in plain JSON values, at any depth."""
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
