"""Where released models are delivered to."""
