"""Says why a decision was made."""
