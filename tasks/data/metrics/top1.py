"""The label is the best class."""

from __future__ import annotations

from paddle_int8.tasks.data.metrics.classification import first_places

METRIC = first_places("top1", 1)
