"""The mathematics of learning and deciding together: pure functions over named arrays.

Nothing here knows of graphs, agents or Temporal, reads a clock or draws chance of its own: who calls
passes a generator. The same inputs give the same bits, whatever the order in which results arrived.
"""
