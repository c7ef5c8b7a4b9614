"""Random graphs, most of them valid, over the whole language."""

from __future__ import annotations

import json
from typing import Any

from perdure.graph.values import UNDEFINED
from tests.differential import calls
from tests.differential.draw import Draw
from tests.differential.extras import LABELS, Extras, console
from tests.differential.mocks import Mocks
from tests.differential.references import References, Scope

IDS = ("a", "b", "c", "d", "e", "f", "g", "h", "node1", "text", "k", "x")
ODD_IDS = (
    *(
        "1",
        "10",
        "2",
        "02",
        "é",
        "日本",
        "a b",
        "x-y",
        "q:r",
        "$0",
        "self",
        "row",
        "rows",
        "item",
        "4294967295",
    ),
    *(
        "a.b",
        "",
        "if",
        "nodes",
        "default()",
        "x}",
        "@loop",
        " s",
        "😀",
        "params",
        "value",
        "agent",
        "null",
        "true",
    ),
)


class Graphs:
    """Makes graphs; `mocks` collects the agents that they need beyond those that are shipped."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.mocks = Mocks(draw)
        self.loaded: dict[str, Any] = {}
        self.extras = Extras(draw)

    def graph(self, depth: int = 0, injected: dict[str, Any] | None = None) -> tuple[dict[str, Any], Any]:
        """A graph and a guess of its results; `given` are nodes that come from outside."""
        draw, scope = self.draw, Scope()
        for name, example in (injected or {}).items():
            scope.add(name, example)
        nodes: dict[str, Any] = {}
        names = self._names(draw.count(2, 9 if not depth else 5), nodes, injected or {})
        statics = min(draw.count(1, 4) if not injected else draw.count(0, 2), len(names) - 1)
        loop = self._loop(depth)
        self._special_statics(nodes, scope, depth)
        for name in names[:statics]:
            value = draw.value() if draw.chance(0.97) else None
            nodes[name] = {"value": value}
            scope.add(name, value)
        for name in names[statics:]:
            nodes[name], example = self._computed(name, scope, depth)
            scope.add(name, example)
        graph: dict[str, Any] = {"version": draw.pick((0.5, 0.5, 0.5, 0.3, 2, "0.5", None))}
        if loop:
            graph["loop"] = self._set_up_loop(loop, nodes, scope)
        self._statics(nodes, scope, bool(loop), injected or {})
        if draw.chance(0.4):
            nodes = {name: nodes[name] for name in draw.shuffled(list(nodes))}
        graph["nodes"] = nodes
        adds_labels = self.extras.has_labels or self.extras.is_race or draw.chance(0.3)
        if adds_labels if not depth else draw.chance(0.1):
            graph["concurrency"] = self._concurrency()
        if draw.chance(0.03):
            graph[draw.pick(("verbose", "metadata", "agentId"))] = draw.weird()
        if draw.chance(0.1):
            del graph["version"]
        results = [name for name in nodes if nodes[name].get("isResult")]
        return graph, {name: scope.examples.get(name) for name in results}

    def _names(self, count: int, nodes: dict[str, Any], injected: dict[str, Any]) -> list[str]:
        draw, names = self.draw, dict[str, None]()
        for _ in range(count):
            name = draw.pick(ODD_IDS) if draw.chance(0.06) else draw.pick(IDS)
            if name not in injected:
                names[name] = None
        if injected and draw.chance(0.2):
            inner = draw.pick(list(injected))
            nodes[inner] = {"value": draw.value()} if draw.chance(0.8) else {}
        if injected and draw.chance(0.012):
            names[draw.pick(list(injected))] = None
        while len(names) < 2:
            names[f"n{len(names)}"] = None
        return list(names)

    def _concurrency(self) -> Any:
        draw = self.draw
        if self.extras.has_labels or draw.chance(0.2):
            labels = {label: draw.count(1, 2) for label in LABELS if draw.chance(0.7)}
            return {"global": draw.count(1, 4), **({"labels": labels} if draw.chance(0.9) else {})}
        return draw.pick((1, 1, 2, 3, 8))

    # Static nodes and loops

    def _special_statics(self, nodes: dict[str, Any], scope: Scope, depth: int) -> None:
        """Static nodes that hold the name of an agent, or a graph, for nodes that refer to them."""
        draw = self.draw
        if draw.chance(0.05):
            agent = draw.pick(
                ("copyAgent", "copyAgent", "mockOk", "nestedAgent", "mapAgent", "nobody", None, 5)
            )
            nodes["who"] = {"value": agent}
            scope.add("who", agent)
        if draw.chance(0.05 if not depth else 0.01):
            graph, _ = self.graph(depth + 1, {"u": 1, "row": "a"})
            nodes["tpl"] = {"value": graph if draw.chance(0.7) else json.dumps(graph)}
            scope.add("tpl", nodes["tpl"]["value"])

    def _statics(self, nodes: dict[str, Any], scope: Scope, loop: bool, injected: dict[str, Any]) -> None:
        draw, refs = self.draw, References(self.draw, scope)
        for name, node in nodes.items():
            if "agent" in node:
                continue
            if draw.chance(0.4 if loop else 0.05) and "update" not in node:
                node["update"] = refs.any()[0]
                if draw.chance(0.1):
                    node.pop("value", None)
            if draw.chance(0.15):
                node["isResult"] = draw.pick((True, True, True, False, 1, ""))
            if draw.chance(0.03):
                node["console"] = console(draw)
            if draw.chance(0.004) and name not in injected:
                node.pop("value", None)

    def _loop(self, depth: int) -> str | None:
        if not self.draw.chance(0.25 if not depth else 0.12):
            return None
        return self.draw.weighted(
            {"count": 6, "list": 3, "mock": 2, "false": 1, "null": 0.2, "literal": 0.05}
        )

    def _set_up_loop(self, loop: str, nodes: dict[str, Any], scope: Scope) -> Any:
        draw = self.draw
        if loop == "count":
            return {"count": draw.pick((1, 2, 2, 3, 3, 4, "2", 0, None, -1, 2.5, "abc", True))}
        if loop == "null":
            return draw.pick((None, False, 0, ""))
        if loop == "literal":
            return {"while": draw.pick((True, "yes", "", False))}
        if loop == "list":
            nodes["rest"] = {"value": draw.list(0), "update": ":shift.array"}
            nodes["shift"] = {"agent": "shiftAgent", "inputs": {"array": ":rest"}, "isResult": True}
            scope.add("rest", [1])
            scope.add("shift", {"array": [1], "item": 1})
            return {"while": draw.pick((":rest", ":rest", ":shift.array", ":rest.$0", ":rest.length()"))}
        if loop == "mock":
            turns = [{"return": value} for value in (*draw.list(1)[:2], draw.pick((False, 0, [], None, "")))]
            nodes["again"] = {"agent": "mockAgain", "inputs": {"x": draw.scalar()}}
            self.mocks.specs["mockAgain"] = {"default": {"sequence": turns}}
            scope.add("again", 1)
            return {"while": ":again"}
        name = draw.pick(("nobody", *(name for name in nodes if "." not in name)))
        return {"while": f":{name}.{draw.pick(('zz', 'zz.k', '$99'))}"}

    # Computed nodes

    def _computed(self, name: str, scope: Scope, depth: int) -> tuple[dict[str, Any], Any]:
        draw, refs = self.draw, References(self.draw, scope)
        graphs = {0: 2.2, 1: 1.0, 2: 0.3}.get(depth, 0)
        kind = draw.weighted(
            {"shipped": 14, "mock": 3, "nested": graphs, "map": graphs, "update": 0.4, "dynamic": 0.5}
        )
        if kind == "nested":
            node, example = self._nested(refs, depth)
        elif kind == "map":
            node, example = self._map(refs, depth)
        elif kind == "mock":
            node, example = self.mocks.call(name, refs)
        elif kind == "update":
            node = {"agent": "stringUpdateTextAgent", "inputs": {}}
            for key in ("newText", "oldText"):
                if draw.chance(0.8):
                    node["inputs"][key] = refs.inputs(1)[0]
            example = {"text": "new"}
        else:
            agent = draw.weighted(calls.WEIGHTS)
            inputs, guesses, params = calls.call(agent, draw, refs)
            node = {"agent": agent, "inputs": inputs, "params": params}
            example = calls.foreseen(agent, guesses, params)
            if kind == "dynamic" or ("who" in scope.examples and draw.chance(0.3)):
                self._make_dynamic(node, refs)
        for key in ("inputs", "params"):
            if key in node and not node[key] and draw.chance(0.8):
                del node[key]
        return node, self.extras.add(node, refs, example)

    def _make_dynamic(self, node: dict[str, Any], refs: References) -> None:
        if "who" in refs.scope.examples:
            node["agent"] = ":who"
            self.mocks.add("mockOk")
        elif self.draw.chance(0.1):
            node["agent"] = refs.any()[0]

    # Nodes that run graphs

    def _inner(self, inputs: dict[str, Any], depth: int, refs: References) -> tuple[Any, dict[str, Any], Any]:
        """The keys that give a node its graph: itself, a reference to it, or a loader."""
        graph, example = self.graph(depth + 1, inputs)
        if "tpl" in refs.scope.examples and self.draw.chance(0.6):
            is_text = isinstance(refs.scope.examples["tpl"], str)
            return {"graph": ":tpl.jsonParse()" if is_text else ":tpl"}, graph, example
        kind = self.draw.weighted({"literal": 10, "loader": 0.4, "reference": 0.4, "weird": 0.2})
        if kind == "loader":
            name = f"g{len(self.loaded)}.json"
            if self.draw.chance(0.9):
                self.loaded[name] = graph
            return {"graphLoader": {"fileName": name}}, graph, example
        if kind == "reference":
            return {"graph": refs.any()[0]}, graph, example
        if kind == "weird":
            return {"graph": self.draw.weird()} if self.draw.chance(0.5) else {}, graph, example
        return {"graph": graph}, graph, example

    def _shared_inputs(self, refs: References) -> dict[str, tuple[Any, Any]]:
        draw = self.draw
        parts = [refs.inputs(1) for _ in range(draw.count(0, 2))]
        parts = [part for part in parts if part[1] is not UNDEFINED or draw.chance(0.15)]
        return {draw.pick(("u", "v", "w", "k", "1")): part for part in parts}

    def _nested(self, refs: References, depth: int) -> tuple[dict[str, Any], Any]:
        draw = self.draw
        parts = self._shared_inputs(refs)
        if draw.chance(0.06):
            count = draw.pick((1, 2, 3, "2", 0, None))
            parts["loopCount"] = count, count
        keys, graph, example = self._inner({key: guess for key, (_, guess) in parts.items()}, depth, refs)
        node: dict[str, Any] = {"agent": "nestedAgent", **keys, "params": {}}
        node["inputs"] = {key: text for key, (text, _) in parts.items()}
        names = [*graph["nodes"], "nobody"]
        if draw.chance(0.2):
            result_node = node["params"]["resultNodeId"] = draw.pick(names)
            example = example.get(result_node, UNDEFINED)
        if draw.chance(0.12):
            node["params"]["supressError"] = draw.pick((True, True, True, 1, False))
        if draw.chance(0.03):
            node["params"]["throwError"] = False
        return node, example

    def _map(self, refs: References, depth: int) -> tuple[dict[str, Any], Any]:
        draw = self.draw
        rows, guess = calls.list_of(draw, refs)
        row = guess[0] if isinstance(guess, list) and guess else None
        parts, params = self._shared_inputs(refs), dict[str, Any]()
        row_key = "row"
        if draw.chance(0.15):
            row_key = params["rowKey"] = draw.pick(("item", "r", "", "1", "row", None, 5))
        if draw.chance(0.2):
            column = draw.pick(("col", "v"))
            parts[column] = calls.list_of(draw, refs)
            params["expandKeys"] = (
                [column] if draw.chance(0.9) else draw.pick((["zz"], "col", [], [column, "row"]))
            )
        inner = {key: guess for key, (_, guess) in parts.items()}
        keys, graph, example = self._inner({**inner, str(row_key): row, "__mapIndex": 0}, depth, refs)
        graph["nodes"].pop("__mapIndex", None)
        names = [*graph["nodes"], str(row_key), "nobody", "__mapIndex"]
        for key, chance, values in (
            ("limit", 0.12, (1, 2, 100, 0, -1, "1", 1.5, None, True)),
            ("resultAll", 0.15, (True, True, False, 1)),
            ("compositeResult", 0.2, (True, True, False, "x")),
            ("compositeResultKey", 0.12, names),
            ("supressError", 0.12, (True, True, 1, False)),
        ):
            if draw.chance(chance):
                params[key] = draw.pick(values)
        inputs = {key: text for key, (text, _) in parts.items()}
        if not draw.chance(0.01):
            inputs = {**inputs, "rows": rows} if draw.chance(0.5) else {"rows": rows, **inputs}
        composite = {name: [value] for name, value in example.items()}
        guess = composite if params.get("compositeResult") else [example, example]
        return {"agent": "mapAgent", **keys, "inputs": inputs, "params": params}, guess
