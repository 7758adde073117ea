"""Rows become scores."""
