"""Decides what runs next."""
