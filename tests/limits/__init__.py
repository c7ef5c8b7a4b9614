"""Limits, tested and probed: python -m tests.limits [NAME …]

Each limit of the package has tests that fail when it is another number. The probe shows that they do: in a
copy of the repository it multiplies one limit after the other (by 1000, unless limits.toml says otherwise),
runs the tests that limits.toml names for it, and expects them to fail. A test that takes its numbers from
the constant itself passes with any, and proves nothing.
"""
