"""The rows of a map: what each starts with, and how many are enough."""
