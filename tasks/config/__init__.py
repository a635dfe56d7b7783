"""What a YAML file may say, a section a file, and what is said of a mistake in it."""
