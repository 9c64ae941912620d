"""The system as its users have it: commands, processes, files."""
