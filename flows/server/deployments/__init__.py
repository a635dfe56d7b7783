"""What this project puts on a Prefect server: work pools, deployments, and runs of these."""
