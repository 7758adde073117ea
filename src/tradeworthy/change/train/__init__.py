"""Turns history into a candidate model."""
