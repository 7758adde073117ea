"""Runs one deployment: engine, venue, feed and the processes beside them."""
