"""Runs a candidate to gather what the gate judges: figures, no verdicts."""
