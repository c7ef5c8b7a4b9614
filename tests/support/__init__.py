"""What tests share. A test imports from here, and from helpers of its own folder; never another test.

| to | take |
|---|---|
| play a scheduler by hand | `drive`; `far` where values are in a store |
| draw a graph at random | `graphs` |
| run a graph on a server | `durable` |
| call the command line | `cli` |
| start and kill workers | `processes` |
| wait for something | `waiting` |
| replace a service | `servers`, `example_services` |
| compare how work grows | `growth` |
| see that nothing is stuck | `detector` |
| compare with recordings of GraphAI | `recorded`, `recorded_run` |
| list modules and constants of the package | `constants` |
| run the examples | `examples`, with `models` |
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
