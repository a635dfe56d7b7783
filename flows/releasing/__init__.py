"""The two long parts of the release flow, each read on its own: its inputs, and its candidates."""
