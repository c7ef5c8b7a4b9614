"""What the server knows of a run, and what its agents stream."""
