"""Processes killed, providers that fail, two drivers at once: every effect once, none lost."""
