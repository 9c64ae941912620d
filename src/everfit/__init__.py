"""everfit keeps a machine-learning model fit for ever: the whole loop on tabular data, from one file."""
