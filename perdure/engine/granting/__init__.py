"""What a run may do: decided for its calls and graphs, and foretold for a graph that does not run yet."""
