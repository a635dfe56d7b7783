"""What a step is: its cache key, its result on disk, its line on the screen. Prefect is imported here."""
