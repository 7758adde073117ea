"""Gives versions their roles and takes them away."""
