"""One module a platform: `export(project, graph)` gives the files that bring the project there, by path."""
