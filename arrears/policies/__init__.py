"""Policies as data: YAML a collections manager can read becomes ladders, contact rules and limitation periods."""
