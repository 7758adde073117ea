"""A market event becomes an order."""
