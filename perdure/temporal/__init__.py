"""What knows Temporal's server but runs nothing: its errors, its search attributes, who serves its queues."""
