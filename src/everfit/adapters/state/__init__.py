"""Where runs, releases, alarms and decisions are remembered."""
