"""Samples: where they come from, which are drawn, how they are prepared, and how answers are scored."""
