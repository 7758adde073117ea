"""Explains recorded decisions."""
