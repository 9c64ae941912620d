"""The compiled predictor: flat arrays walked by machine code that this process makes, without a training library."""
