"""What a Prefect server does for us by itself."""
