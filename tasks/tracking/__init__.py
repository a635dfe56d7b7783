"""MLflow: runs, plots, the report, the registry."""
