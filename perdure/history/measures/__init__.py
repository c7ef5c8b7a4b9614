"""How well runs went, as numbers: latency and what it is made of, failures, bytes, cost per unit, errors.

Each number is computed from recorded histories alone, so anybody can compute it again later. What a
history does not hold is not estimated.
"""
