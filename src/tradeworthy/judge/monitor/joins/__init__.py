"""Joins what the record tells one by one: decisions with rows, labels, fills."""
