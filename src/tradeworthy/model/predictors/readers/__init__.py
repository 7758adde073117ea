"""What training libraries wrote becomes a `Forest`."""
