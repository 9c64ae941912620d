"""Experiment trackers and model registries."""
