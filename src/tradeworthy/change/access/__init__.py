"""Who may ask a deployment for what: keys, and the doorkeeper that holds callers to them."""
