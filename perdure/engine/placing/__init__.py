"""How calls are made: what a node says about it, and the sessions of a run."""
