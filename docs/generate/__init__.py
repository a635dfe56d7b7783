"""Fills the generated parts of docs/: `make docs` writes them, and a test holds them to the code."""
