"""The frozen dataclasses that travel between stages, one module a noun: data, never I/O."""
