"""The metric `top1`: whether the label is the class with the highest score."""

from __future__ import annotations

from paddle_int8.tasks.data.metrics.classification import top_k_metric

METRIC = top_k_metric("top1", 1)
