"""Reads the record and says what is wrong and why; never in the way of an order."""
