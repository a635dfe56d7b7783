"""The published tables, measured here."""
