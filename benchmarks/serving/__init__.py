"""What a served model does under load: its answers, its throughput and its memory, through each server."""
