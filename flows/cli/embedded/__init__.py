"""The program on a host without servers: Prefect and MLflow on databases in the home folder."""
