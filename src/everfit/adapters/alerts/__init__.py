"""Where alarms go: one file for each kind of channel."""
