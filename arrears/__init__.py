"""Durable, explained, never-twice escalation of past-due credit-card accounts."""
