"""The poison corpus: graphs, pages, model answers and starts that must not harm a worker.

`python -m tests.poison [NAME ...]` plays cases against a worker of 1 GB and prints a table; pytest plays a
few of each kind. A case says what is sent; what must be true afterwards is the same for all and is checked
in one place, `play.py`: the run ends with an error of Perdure's or with a result, or waits where that is
right; its worker lives, gives the memory back, and kept serving another run; nothing is stuck.
"""
