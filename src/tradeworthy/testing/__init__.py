"""Checks that every feed, predictor, monitor and venue must pass, ours and our users'."""
