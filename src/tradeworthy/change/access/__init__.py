"""Who may do what on this deployment: people with roles, programs with keys, and who holds them to it."""
