"""Nouns and rules that every room shares: events, decisions, time, limits, refusals, errors."""
