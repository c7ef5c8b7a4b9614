"""The agents: how one is declared, and those that are shipped."""
