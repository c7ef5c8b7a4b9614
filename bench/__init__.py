"""Benchmarks: each prints what it measured, medians and ratios, with the machine's load beside them."""
