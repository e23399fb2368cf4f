"""The service that listens: the provider's webhooks, events from machines, the holder's page."""
