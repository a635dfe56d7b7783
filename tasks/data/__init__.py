"""Samples: where they come from, which ones are drawn, how they are prepared, and how answers are scored."""
