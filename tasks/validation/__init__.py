"""Everything that is measured: accuracy, latency, the kernels that ran, and the bounds of each figure."""
