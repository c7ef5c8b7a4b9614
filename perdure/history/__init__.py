"""What was and is in a run: the one read model, made by replaying its history."""
