"""Watches the record for change."""
