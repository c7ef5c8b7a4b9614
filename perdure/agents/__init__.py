"""The agent SDK: the decorator, the context, filters, and the catalog."""
