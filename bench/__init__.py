"""Benchmarks: each prints what it measured, medians and ratios, with the machine's load with them.

`python -m bench --help` says how to run them, docs/performance.md what they measure and what came out.
"""
