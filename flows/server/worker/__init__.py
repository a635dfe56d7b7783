"""The worker that runs a host's share of the deployments: how it starts, and what it is."""
