"""The hardware check: which CPU this is, what oneDNN uses of it, and what to expect of INT8 on it."""
