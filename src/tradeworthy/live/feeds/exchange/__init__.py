"""A public stream of an exchange's market data becomes events that can be vouched for."""
