"""Writes the first configuration for a model and its data, from what they are and from what the user says."""
