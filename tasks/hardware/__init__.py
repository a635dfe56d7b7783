"""What this CPU is, what oneDNN makes of it, and what to expect of INT8 on it."""
