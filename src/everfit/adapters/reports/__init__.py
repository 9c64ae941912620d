"""Reports of others, one file per technology."""
