"""What a run waits for that neither a worker nor a person gives: events from outside, and times."""
