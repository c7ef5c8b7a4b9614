"""Params of the agents whose calls the run itself answers: what they say, and what is wrong with them."""
