"""The forms in which a model is deployed, a file each."""

from paddle_int8.tasks.config.registry import Registry
from paddle_int8.tasks.layouts.layout import Layout

LAYOUTS: Registry[Layout] = Registry(
    noun="layout", package=__name__, constant="LAYOUT", group="paddle_int8.layouts"
)
