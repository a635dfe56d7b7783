"""What this CPU is, what oneDNN makes of it, what to expect of INT8 on it, and what else the host does."""
