"""The files of a bundle's example: one batch of samples, and what the validated predictor answered."""

EXAMPLE_INPUT, EXAMPLE_OUTPUT = "example_input.npz", "example_output.npz"
