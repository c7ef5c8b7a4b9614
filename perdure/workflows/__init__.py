"""The durable shell: the one Temporal workflow that interprets every graph."""
