"""Reads what the command line names: graphs, inputs, configuration."""
