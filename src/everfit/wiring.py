"""The name and the paths of the concrete adapters: a project in, its ports out."""
