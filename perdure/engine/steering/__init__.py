"""Changing a running graph: what a person asks for, what it means for each node, how it is applied."""
