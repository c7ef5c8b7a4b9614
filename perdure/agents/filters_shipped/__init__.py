"""The agent filters that are shipped."""
