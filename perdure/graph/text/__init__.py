"""Reads and writes YAML and JSON: the text of a graph, with the position of each value."""
