"""The metric `top5`: whether the label is among the five classes with the highest scores."""

from __future__ import annotations

from paddle_int8.tasks.data.metrics.classification import top_k_metric

METRIC = top_k_metric("top5", 5)
