"""What is written to MLflow: runs, plots, the report, and versions in the registry."""
