"""What stands on a Prefect server for us: work pools, deployments, and runs of these."""
