"""What a release would make of a configuration: FP32 on a few samples, and what to expect, in seconds."""
