"""Says when a stream has changed, at a stated rate of false alarms."""
