"""The label is among the five best classes."""

from __future__ import annotations

from paddle_int8.tasks.data.metrics.classification import first_places

METRIC = first_places("top5", 5)
