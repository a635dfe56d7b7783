"""A promoted FP32 model, from MLflow's webhook to the flow run that releases it."""
