"""The agents that call language models."""
