"""Runs the function of yours that trains an FP32 model."""
