"""Random graphs are changed while they run: the outcome is that of a full run of the new graph.

python -m tests.lineage.patches --count 10000
python -m tests.lineage.patches --durable --count 200 --kill
"""

from __future__ import annotations

import argparse
import copy
import json
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any

from perdure.engine.messages import (
    AgentCompleted,
    AgentFailed,
    CancelCall,
    Command,
    Event,
    Finish,
    RunAgent,
    Settle,
    Settled,
)
from perdure.engine.scheduler import Scheduler
from perdure.engine.snapshot import restore, snapshot
from perdure.engine.state import ACTIVE, NodeState
from perdure.engine.steering.request import Steering
from perdure.errors import GraphError, UsageError
from perdure.lineage.documents import dependents, placed_nodes
from tests.lineage.work import answer_to, chance_of, fails, text_of
from tests.support.graphs import every_node, make_graph

AGENTS = ("work",)


class Player:
    """Plays one graph in a random order of answers; what agents return depends on what they are asked."""

    def __init__(self, document: dict[str, Any], random: Random, salt: int) -> None:
        self.random, self.salt = random, salt
        self.scheduler = Scheduler(document, agents=AGENTS)
        self.open: dict[int, Command] = {}
        self.calls: list[str] = []
        self.finish: Finish | None = None

    def start(self) -> None:
        self._take(self.scheduler.start(0))

    def play(self, steps: int | None = None) -> None:
        """Answers until the run is over, or this many times."""
        while self.finish is None and steps != 0:
            command = self.open.pop(self.random.choice(list(self.open)))
            self._take(self.scheduler.handle(self._answer(command), 0))
            steps = None if steps is None else steps - 1

    def steer(self, request: Steering) -> None:
        self._take(self.scheduler.steer(self.scheduler.survey(request), 0))

    def resume(self) -> None:
        """Continues from a snapshot, which must hold all there is."""
        written = snapshot(self.scheduler)
        self.scheduler, commands = restore(written, agents=AGENTS)
        assert snapshot(self.scheduler) == written
        known = {getattr(command, "call", 0): command for command in commands}
        assert known.keys() == self.open.keys()
        self.open = known

    def _answer(self, command: Command) -> Event:
        if isinstance(command, Settle):
            return Settled(command.call)
        assert isinstance(command, RunAgent)
        text = text_of(command.inputs, command.params)
        if fails(self.salt, text, command.retry):
            return AgentFailed(command.call, "failed")
        return AgentCompleted(command.call, answer_to(command.inputs, chance_of(self.salt, text)))

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, RunAgent | Settle):
                self.open[command.call] = command
                if isinstance(command, RunAgent):
                    self.calls.append(command.key)
            elif isinstance(command, CancelCall):
                del self.open[command.call]
            elif isinstance(command, Finish):
                self.finish = command
        self._check()

    def _check(self) -> None:
        """Between two events, counts and slots are what the states of the nodes say."""
        board = self.scheduler.board
        executing = 0
        for run in board.runs.values():
            nodes = run.nodes.values()
            assert list(run.nodes) == [*run.plan.statics, *run.plan.computed]
            assert run.active == sum(node.state in ACTIVE for node in nodes), run.path
            assert run.holds == sum(
                node.state is NodeState.WAITING and node.call is not None for node in nodes
            )
            executing += sum(node.state is NodeState.EXECUTING for node in nodes)
            for name in run.plan.computed:
                node = run.nodes[name]
                known = {source for source in run.plan.computed[name].needs if _has_result(run, source)}
                if node.state is NodeState.WAITING:
                    assert node.pending == run.plan.computed[name].needs - known, run.path_of(name)
        slots = board.slots
        if self.finish is None:
            assert slots.running == executing
            queued = [(ticket.run, ticket.node) for ticket in slots.tickets()]
            assert Counter(queued) == Counter(
                (run.id, name)
                for run in board.runs.values()
                if run.outcome is None
                for name, node in run.nodes.items()
                if node.state is NodeState.QUEUED
            )
            assert slots.is_crowded or not any(
                ticket.label not in slots.limits for ticket in slots.tickets()
            ), "a node waits for a slot that is free"


def _has_result(run: Any, source: str) -> bool:
    return run.nodes[source].state in (NodeState.COMPLETED, NodeState.INJECTED)


def graph_of(seed: int) -> dict[str, Any]:
    """A graph whose outcome no order of answers decides, and no limit of time."""
    document = make_graph(Random(seed))
    for node in every_node(document):
        node.pop("timeout", None)
        node.pop("anyInput", None)
        if "graph" in node:
            node.pop("retry", None)
            node.pop("repeatUntil", None)
    return document


def graphs_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    inner = [node["graph"] for node in document["nodes"].values() if "graph" in node]
    return [document, *(each for graph in inner for each in graphs_in(graph))]


def changed(document: dict[str, Any], random: Random) -> dict[str, Any]:
    """The graph with one to three changes, anywhere in it."""
    document = copy.deepcopy(document)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        graphs = graphs_in(document)
        graph = random.choice((document, random.choice(graphs)))
        _change(graph, random, is_root=graph is document)
    return document


def _change(graph: dict[str, Any], random: Random, is_root: bool) -> None:
    nodes = graph["nodes"]
    computed = [name for name, node in nodes.items() if "agent" in node]
    name = random.choice(computed or ["yes"])
    node = nodes[name]
    match random.randrange(9):
        case 0 | 1 if computed and "graph" not in node:
            node.setdefault("params", {})["p"] = random.randrange(3)
        case 2 if computed and "graph" not in node:
            node["inputs"] = {
                **node["inputs"],
                "more": random.choice((":yes", ":no", 4, f":new{len(nodes)}")),
            }
            nodes.setdefault(f"new{len(nodes)}", {"value": 3})
        case 3:
            source = random.choice(list(nodes))
            nodes[f"a{random.randrange(100)}"] = {
                "agent": "work",
                "inputs": {"i": f":{source}.v"},
                "isResult": True,
            }
        case 4 if computed:
            _remove(graph, name, random)
        case 5 if is_root:
            nodes["rows"]["value"] = random.choice(([1, 2], [3, 2, 1, 0], [1, 2, 3]))
        case 6 if is_root:
            nodes[random.choice(("yes", "no"))]["value"] = random.choice((True, 0, "other"))
        case 7 if computed:
            node["priority"] = random.randint(-1, 2)
            node["label"] = random.choice(("gpu", "net"))
        case _ if is_root:
            graph["concurrency"] = random.choice((1, 2, 4))
        case _:
            pass


def _remove(graph: dict[str, Any], name: str, random: Random) -> None:
    """The node goes; what has read it reads another."""
    del graph["nodes"][name]
    pattern = (f'":{name}"', f'":{name}.')
    for other, node in graph["nodes"].items():
        own = {key: value for key, value in node.items() if key != "graph"}
        text = json.dumps(own)
        text = text.replace(pattern[0], '":yes"').replace(pattern[1], '":yes.')
        graph["nodes"][other] = {**json.loads(text), **({"graph": node["graph"]} if "graph" in node else {})}


def expected_document(player: Player, new: dict[str, Any]) -> dict[str, Any]:
    """The graph whose full run gives what the changed run is to give from this pass on."""
    root = player.scheduler.root
    document = copy.deepcopy(new)
    for name, static in root.plan.statics.items():
        node = document["nodes"].get(name)
        if static.update is not None and node is not None and root.iteration:
            node["value"] = root.nodes[name].value
    if root.iteration and "loop" in document:
        document["loop"]["count"] -= root.iteration
    return document


@dataclass
class Tally:
    """What became of the patches, and how many calls they saved and made."""

    patches: int = 0
    over: int = 0
    refused: int = 0
    compared: int = 0
    resumed: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])


def outcome(player: Player) -> tuple[Any, ...]:
    finish, root = player.finish, player.scheduler.root
    assert finish is not None
    states = {name: str(root.nodes[name].state) for name in root.plan.order}
    ran = {states[name] for name in root.plan.computed} - {"waiting", "skipped"}
    every: Any = finish.all if ran else {}  # a first pass in which nothing could run has no results at all
    return every, finish.results, sorted(finish.errors), states


def check(seed: int, tally: Tally) -> None:
    """One graph: it is changed while it runs, once or twice. Raises AssertionError."""
    random = Random(seed)
    document = graph_of(seed)
    player = Player(document, Random(seed), seed)
    player.start()
    player.play(random.randrange(1, 12))
    is_comparable, expected = True, document
    for _ in range(random.choice((1, 1, 2))):
        tally.patches += 1
        if player.finish is not None:
            tally.over += 1
            break
        new = changed(document, random)
        before = expected_document(player, new)
        request = Steering(
            graph=new,
            running=random.choice(("refuse", "cancel", "cancel")),
            done=random.choice(("refuse", "rerun", "rerun")),
            rows=random.choice(("refuse", "rerun", "rerun", "new")),
        )
        taken, comparable = attempt(player, request, document, tally)
        if taken:
            is_comparable = is_comparable and comparable
            document, expected = new, before
        if random.random() < 0.2 and player.finish is None:
            player.resume()
            tally.resumed += 1
        player.play(random.randrange(5))
    player.play()
    if not is_comparable:
        return
    oracle = Player(expected, Random(seed + 1), seed)
    oracle.start()
    oracle.play()
    ours, full = outcome(player), outcome(oracle)
    assert ours == full, f"seed {seed}:\n{ours}\n{full}"
    tally.compared += 1


def attempt(player: Player, request: Steering, old: dict[str, Any], tally: Tally) -> tuple[bool, bool]:
    """Applies one change: whether it was taken, and whether the outcome is that of a full run."""
    before = json.dumps(snapshot(player.scheduler), default=repr)
    try:
        survey = player.scheduler.survey(request)
        survey.check()
    except (GraphError, UsageError):
        tally.refused += 1
        assert json.dumps(snapshot(player.scheduler), default=repr) == before
        return False, False
    for node in survey.nodes:
        tally.kinds[f"{node.change} {node.state}: {node.action}"] += 1
    comparable = not any(
        change.rows or (change.run.parent is not None and change.run.iteration) for change in survey.graphs
    )
    root, calls = player.scheduler.root, len(player.calls)
    done = {name for name in root.plan.computed if root.nodes[name].state is NodeState.COMPLETED}
    again = done & survey.graphs[0].fresh.keys()
    assert request.graph is not None
    nodes = placed_nodes(request.graph)
    origins = {
        address
        for address, place in nodes.items()
        if place.node != getattr(placed_nodes(old).get(address), "node", None)
    }
    assert again <= dependents(nodes, origins) | origins
    kept = {root.key_of(name) for name in done - again - {*survey.graphs[0].gone}}
    player.steer(request)
    assert not kept & {*player.calls[calls:]}
    return True, comparable


def check_all(seeds: range) -> Tally:
    tally = Tally()
    for seed in seeds:
        try:
            check(seed, tally)
        except Exception as error:
            raise AssertionError(f"seed {seed}") from error
    return tally


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--durable", action="store_true", help="on a real server")
    parser.add_argument("--kill", action="store_true", help="and kill workers meanwhile")
    args = parser.parse_args()
    if args.durable:
        from tests.lineage import durable_patches

        durable_patches.main(args.count, args.seed, args.kill)
        return
    tally = check_all(range(args.seed, args.seed + args.count))
    print(f"{tally.patches} patches of running graphs: {tally.refused} refused, {tally.over} too late,")
    print(f"{tally.compared} outcomes equal to a full run, {tally.resumed} continued from a snapshot")
    for kind, count in sorted(tally.kinds.items()):
        print(f"{count:8} {kind}")


if __name__ == "__main__":
    main()
