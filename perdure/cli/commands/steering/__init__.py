"""Commands that change a run while it runs."""
