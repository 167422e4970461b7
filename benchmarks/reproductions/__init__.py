"""Published numerical experiments, done again with this package."""
