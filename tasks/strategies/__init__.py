"""The strategies: ways to choose candidates. Each strategy is one file."""

from paddle_int8.tasks.config.registry import Registry
from paddle_int8.tasks.strategies.strategy import Strategy

STRATEGIES: Registry[Strategy] = Registry(
    noun="strategy",
    package=__name__,
    constant="STRATEGY",
    group="paddle_int8.strategies",
    first=("grid",),
)
