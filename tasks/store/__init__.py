"""Artifacts on disk and in a shared store: written whole or not at all, named by their content."""
