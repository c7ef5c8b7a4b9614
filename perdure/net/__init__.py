"""The guard between agents and the outside: hosts, web requests, files, and what their failures mean."""
