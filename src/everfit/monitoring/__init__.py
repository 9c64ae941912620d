"""What production looks like beside training: profile, drift, performance, estimated impact, alarms."""
