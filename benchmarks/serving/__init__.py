"""What a served model does: its answers, throughput and memory under load, and the servers beside each other."""
