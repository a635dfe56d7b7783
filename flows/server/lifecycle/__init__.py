"""The process of a release: keeps the records in Prefect and MLflow true, however it ends."""
