"""The metrics that have a name. Each metric is one file."""

from paddle_int8.tasks.config.registry import Registry
from paddle_int8.tasks.data.metrics.metric import NamedMetric

METRICS: Registry[NamedMetric] = Registry(
    noun="metric", package=__name__, constant="METRIC", group="paddle_int8.metrics"
)


def named(name: str) -> NamedMetric | None:
    """The record of a metric; None for `package.module:function`.

    Raises: ConfigError when this worker may not load it.
    """
    return METRICS.find(name) if name in METRICS.names() else None
