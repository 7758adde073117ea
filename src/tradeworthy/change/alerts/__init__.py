"""Carries findings to people outside, soon, and never in the way of watching."""
