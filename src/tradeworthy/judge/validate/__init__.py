"""Judges the evidence for a version; runs nothing."""
