"""Expressions become a program, a program becomes rows."""
