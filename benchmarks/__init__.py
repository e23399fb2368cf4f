"""Figures: one command each, and a ratio measured in the same run."""
