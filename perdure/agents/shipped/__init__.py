"""The agents that are shipped, one file for each family."""
