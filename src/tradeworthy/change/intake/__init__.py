"""Turns a file that can run code into a model that cannot."""
