"""The layouts, in which INT8 models are packed. Each file of this folder holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paddle_int8.tasks.config.registry import Registry

if TYPE_CHECKING:  # what a record looks like decides no result, and this module is in every key
    from paddle_int8.tasks.layouts.layout import Layout

LAYOUTS: Registry[Layout] = Registry(
    noun="layout", package=__name__, constant="LAYOUT", group="paddle_int8.layouts"
)
