"""Where folders of files are kept by their content."""
