"""The scheduler: a graph compiled to a plan; events in, commands out. Pure: no I/O, no clock."""
