"""Where orders go and answers come from."""
