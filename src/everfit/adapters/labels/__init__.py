"""Where the truths that arrive later are kept."""
