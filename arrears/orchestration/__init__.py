"""The only Prefect outside flows: the durable wait, timelines, artifacts, the worker."""
