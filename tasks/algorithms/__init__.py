"""The algorithms, which find the scales of a model. Each file of this folder holds one."""

from paddle_int8.tasks.algorithms.algorithm import Algorithm
from paddle_int8.tasks.config.registry import Registry

ALGORITHMS: Registry[Algorithm] = Registry(
    noun="algorithm", package=__name__, constant="ALGORITHM", group="paddle_int8.algorithms"
)
