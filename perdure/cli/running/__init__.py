"""Runs a graph from the command line: where, on which queue, served by whom."""
