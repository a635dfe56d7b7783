"""What runs a model, a folder each; the FP32 baseline is Paddle's."""

from paddle_int8.tasks.config.registry import Registry
from paddle_int8.tasks.engines.engine import Engine

ENGINES: Registry[Engine] = Registry(
    noun="engine", package=__name__, constant="ENGINE", group="paddle_int8.engines"
)
