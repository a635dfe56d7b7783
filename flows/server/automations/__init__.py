"""The automations of a Prefect server: what it does by itself when a run or an event asks for it."""
