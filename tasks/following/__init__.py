"""Releases that start because an FP32 model was promoted in MLflow."""
