"""Paddle's published tables, measured on this machine."""
