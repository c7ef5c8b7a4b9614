"""The shell that runs a graph in this process, without a server: nothing is recorded, nothing survives."""
