"""What a change of a run makes necessary to do again, and what may be reused: pure."""
