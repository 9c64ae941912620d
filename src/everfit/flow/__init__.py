"""Stages composed into pipelines, and the embedded runner that executes them with a verified cache."""
