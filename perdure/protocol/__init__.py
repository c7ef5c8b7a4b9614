"""What crosses Temporal: payloads, their wire form, and which agents a worker has."""
