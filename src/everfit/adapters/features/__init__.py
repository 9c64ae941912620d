"""Where the latest row of each entity is read while serving."""
