"""What stands between an intent and the market."""
