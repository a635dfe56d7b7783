"""Which CPU this is, what oneDNN uses of it, what to expect of INT8 on it, and what else the host does."""
