"""The report on runs, in its three forms."""
