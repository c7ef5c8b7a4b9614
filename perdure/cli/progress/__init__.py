"""Shows a run while it runs."""
