"""Agents that learn and decide together, on the hosts that hold the data."""
