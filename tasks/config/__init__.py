"""The sections of a YAML file, each in a module of its own, and the messages about mistakes in it."""
