"""The lifecycles of nodes and graphs, and what answers and values that arrive do to them."""
