"""Runs the user's own function that trains an FP32 model."""
