"""Labels of data: where the data of each node comes from, and what that forbids."""
