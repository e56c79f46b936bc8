"""Training runs of the app."""
