"""The language: documents, values, references, templates, checks. Pure: no I/O, no clock."""
