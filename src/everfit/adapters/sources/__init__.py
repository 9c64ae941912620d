"""Where tables come from: one file per format or place, each a `Source`."""
