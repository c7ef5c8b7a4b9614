"""Graphs that work, wait or grow without end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.poison.case import Case, graph, one, request

NOT_JSON = {"value": "not json"}
FENCE = "```" + "a" * 65_536
KB = "x" * 1000


def _chain(first: Any, inputs: str | list[Any], length: int = 40) -> dict[str, Any]:
    """Nodes of which each takes what the one before gave, as `inputs` says: `@` stands for its reference."""

    def put(value: Any, source: str) -> Any:
        return (
            [put(item, source) for item in value] if isinstance(value, list) else value.replace("@", source)
        )

    nodes: dict[str, Any] = {"n0": {"value": {"x": first}}}
    for index in range(1, length + 1):
        nodes[f"n{index}"] = {"agent": "copyAgent", "inputs": {"x": put(inputs, f":n{index - 1}.x")}}
    nodes[f"n{length}"]["isResult"] = True
    return graph(**nodes)


def _layers(width: int, count: int) -> dict[str, Any]:
    """Layers of pure nodes, each of which holds two of the layer before: twice as much in each layer."""
    nodes: dict[str, Any] = {f"n{index}": {"value": {"x": index}} for index in range(width)}
    for index in range(width, count):
        inputs = {"x": f":n{index - width}", "y": f":n{index - width + 1}"}
        nodes[f"n{index}"] = {"agent": "copyAgent", "inputs": inputs}
    return graph(**nodes)


def _wide(value: Any, inputs: Any, count: int) -> dict[str, Any]:
    """Nodes that are ready at the same time, with large inputs."""
    node = {"agent": "copyAgent", "inputs": {"x": inputs, "y": ":v"}}
    return graph(v={"value": value}, **{f"n{index}": node for index in range(count)}) | {"concurrency": count}


def _mapped(depth: int, rows: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"agent": "copyAgent", "inputs": {"x": ":row"}, "isResult": True}
    for _ in range(depth):
        inner = {
            "agent": "mapAgent",
            "inputs": {"rows": list(range(rows))},
            "graph": {"nodes": {"m": inner}},
            "isResult": True,
        }
    return graph(m=inner)


def _nested(value: Any, levels: int) -> Any:
    for _ in range(levels):
        value = [value]
    return value


def _recursive(agent: str, inputs: dict[str, Any]) -> dict[str, Any]:
    node = {"agent": agent, "inputs": {**inputs, "g": ":g"}, "graph": ":g", "isResult": True}
    return graph(g={"value": {"nodes": {"g": {}, "m": node}}}, m=node)


def _loop(nodes: dict[str, Any], **loop: Any) -> dict[str, Any]:
    return {"version": 0.5, "loop": loop, "nodes": nodes}


def _grown(template: str) -> dict[str, Any]:
    """A loop in which a string becomes longer in each pass."""
    add = {"agent": "copyAgent", "inputs": {"x": template}}
    return _loop({"s": {"value": KB, "update": ":add.x"}, "add": add}, count=1000)


def _steps(step: str, text: str, count: int = 4000) -> dict[str, Any]:
    return graph(
        a={"value": text}, b={"agent": "copyAgent", "inputs": {"x": f":a{step * count}"}, "isResult": True}
    )


_THOUSAND = {"agent": "countingAgent", "params": {"count": 1000}}
_ROW = {"agent": "copyAgent", "inputs": {"x": ":row"}, "isResult": True}
_COUNTED_ROWS = {
    "agent": "mapAgent",
    "inputs": {"rows": list(range(1000))},
    "graph": graph(
        n=_THOUSAND, m={"agent": "mapAgent", "inputs": {"rows": ":n.list"}, "graph": graph(c=_ROW)}
    ),
}

_T = {"value": True, "update": ":t"}

WORK = {
    "retry without end": graph(
        a=NOT_JSON,
        b={"agent": "copyAgent", "retry": 1e300, "inputs": {"x": ":a.jsonParse()"}, "isResult": True},
    ),
    "retry a thousand million times": graph(
        a=NOT_JSON,
        b={"agent": "copyAgent", "retry": 10**9, "inputs": {"x": ":a.jsonParse()"}, "isResult": True},
    ),
    "retry of an agent that is none": graph(
        x={"value": "nobody"}, b={"agent": ":x", "retry": 1e300, "inputs": {"y": 1}, "isResult": True}
    ),
    "retry of a pure agent": one("popAgent", {"array": 5}, retry=1e300),
    "retry in each row": graph(
        a=NOT_JSON,
        m={
            "agent": "mapAgent",
            "inputs": {"rows": list(range(500)), "a": ":a"},
            "graph": {
                "nodes": {"b": {"agent": "copyAgent", "retry": 1000, "inputs": {"x": ":a.jsonParse()"}}}
            },
        },
    ),
    "loop of what is skipped": _loop(
        {
            "t": _T,
            "no": {"value": False},
            "c": {"agent": "copyAgent", "if": ":no", "defaultValue": {"d": 1}, "inputs": {"x": 1}},
        },
        **{"while": ":t"},
    ),
    "loop of nothing": _loop({"t": _T}, **{"while": ":t"}),
    "loop of 1e300 passes": _loop({"x": {"value": True}}, count=1e300),
    "loop of a pure agent": _loop({"c": {"agent": "copyAgent", "inputs": {"x": 1}}}, count=10**9),
    "map in map in map": _mapped(3, 500),
    "map of 1,000,000 rows": _mapped(2, 1000),
    "map of 1,000,000 counted rows": graph(m=_COUNTED_ROWS),
    "loop of maps": _loop({"m": _mapped(1, 1000)["nodes"]["m"]}, count=10**6),
    "map of itself": _recursive("mapAgent", {"rows": list(range(10))}),
    "nested in itself": _recursive("nestedAgent", {}),
    "repeat until never": one("copyAgent", repeatUntil={"exists": ".never"}, retry=1e300),
    "10,000 rows counted": graph(n={"agent": "countingAgent", "params": {"count": 1e12}, "isResult": True}),
    "wide and dense": graph(
        **{f"v{index}": {"value": index} for index in range(600)},
        **{
            f"n{index}": {"agent": "copyAgent", "inputs": {"x": [f":v{other}" for other in range(600)]}}
            for index in range(300)
        },
    ),
    "chain of 20,000": _chain(1, "@", 20_000),
}

TEXT = {
    "open code block": graph(
        t={"value": FENCE}, p={"agent": "jsonParserAgent", "inputs": {"text": ":t"}, "isResult": True}
    ),
    "code blocks": graph(
        t={"value": "```\n" * 30_000},
        p={"agent": "jsonParserAgent", "inputs": {"text": ":t"}, "isResult": True},
    ),
    "code block by function": graph(
        t={"value": FENCE}, p={"agent": "copyAgent", "inputs": {"x": ":t.codeBlock()"}, "isResult": True}
    ),
    "split and join": _steps(".split(,).join(,)", "," * 65_536),
    "parse and write": _steps(".jsonParse().toJSON()", "[" + "1," * 30_000 + "1]"),
    "upper case again": _steps(".toUpperCase()", "a" * 65_536),
    "variants of case": one("stringCaseVariantsAgent", {"text": " -_aB" * 20_000}),
    "template in template": graph(
        t={
            "agent": "stringTemplateAgent",
            "inputs": {"${" * index: "v" for index in range(1, 200)},
            "params": {"template": "${" * 60_000 + "}"},
            "isResult": True,
        }
    ),
    "dots in a URL": one("fetchAgent", {"url": "http://a/" + "../" * 100_000}),
    "digits in a URL": one("fetchAgent", {"url": f"http://{'1' * 100_000}/"}),
    "names in a URL": one("fetchAgent", {"url": f"http://{'࿚' * 100_000}/"}),
    "tokens of one letter": one(
        "tokenBoundStringsAgent", {"chunks": ["a" * 1_000_000]}, params={"limit": 10}
    ),
}

SIZE = {
    "doubled string": _chain(KB, "${@}${@}"),
    "doubled list": _chain("x", ["@", "@"]),
    "doubled deep": _chain("x", [["@", "@"], ["@", "@"]]),
    "doubled in each layer": _layers(15, 313),
    "wide of many parts": _wide([{}] * 20_000, ":v", 100),
    "wide of large lists": _wide("y" * 60_000, [":v"] * 1_000, 20),
    "string times references": graph(
        t={"value": "y" * 250_000},
        q={"agent": "copyAgent", "inputs": {"x": "${:t}" * 50_000}, "isResult": True},
    ),
    "string by template agent": graph(
        t={
            "agent": "stringTemplateAgent",
            "inputs": {"k": "y" * 250_000},
            "params": {"template": "${k}" * 50_000},
            "isResult": True,
        }
    ),
    "overlapping pieces": one(
        "stringSplitterAgent", {"text": "z" * 200_000}, params={"chunkSize": 100_000, "overlap": 99_999}
    ),
    "pieces of nothing": one(
        "stringSplitterAgent", {"text": "z" * 200_000}, params={"chunkSize": 1, "overlap": 1}
    ),
    "doubled in a loop": _grown("${:s}${:s}"),
    "doubled in rows": graph(
        t={"value": "y" * 100_000},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": list(range(5000)), "t": ":t"},
            "graph": {
                "nodes": {"c": {"agent": "copyAgent", "inputs": {"x": "${:t}${:row}"}, "isResult": True}}
            },
            "isResult": True,
        },
    ),
    "joined again": graph(
        r={"value": ["y" * 1000] * 1000},
        j={
            "agent": "arrayJoinAgent",
            "inputs": {"array": ":r"},
            "params": {"separator": "z" * 200_000},
            "isResult": True,
        },
    ),
    "console of 900 lines": graph(
        n={"agent": "countingAgent", "params": {"count": 900}},
        t={"value": "y" * 7900},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": ":n.list", "t": ":t"},
            "graph": {"nodes": {"c": {"agent": "consoleAgent", "inputs": {"text": "${:row} ${:t}"}}}},
        },
    ),
    "console of one line": graph(
        t={"value": "y" * 1_000_000}, c={"agent": "copyAgent", "inputs": {"x": ":t"}, "console": True}
    ),
    "JSON of what is deep": graph(
        n={"agent": "countingAgent", "params": {"count": 10_000}},
        d={"agent": "copyAgent", "inputs": {"x": _nested(":n.list", 390)}},
        j={"agent": "copyAgent", "inputs": {"x": [":d.x.toJSON()"] * 20}, "isResult": True},
    ),
    "long steps": graph(
        v={"value": {}},
        **{
            f"n{index}": {"agent": "copyAgent", "inputs": {"x": f":v.{str(index) + 'k' * 5000}"}}
            for index in range(150)
        },
    ),
    "dot product": one("dotProductAgent", {"matrix": [[1] * 1000] * 200, "vector": [1] * 1000}),
    "sort by no key": one("sortByValuesAgent", {"array": [[]] * 20_000, "values": ["x"] * 20_000}),
    "rendered rows of rows": _mapped(1, 20_000),
}

MANY = {
    "200 sleepers": graph(
        n={"agent": "countingAgent", "params": {"count": 200}},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": ":n.list"},
            "graph": {
                "nodes": {
                    "s": {
                        "agent": "sleeperAgent",
                        "params": {"duration": 86_400_000},
                        "inputs": {"x": ":row"},
                    }
                }
            },
        },
    )
    | {"concurrency": 500},
    "150 runs of a sleeper": one("sleeperAgent", params={"duration": 86_400_000}),
    "names that no server knows": graph(
        n={"agent": "countingAgent", "params": {"count": 60}},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": ":n.list"},
            "graph": {
                "nodes": {
                    "f": {"agent": "fetchAgent", "inputs": {"url": "http://n${:row}.invalid/"}, "retry": 3}
                }
            },
        },
    ),
    "2,000 failures": graph(
        n={"agent": "countingAgent", "params": {"count": 2000}},
        m={
            "agent": "mapAgent",
            "inputs": {"rows": ":n.list"},
            "graph": {
                "nodes": {
                    "f": {
                        "agent": "fileReadAgent",
                        "params": {"baseDir": "."},
                        "inputs": {"file": "${:row}nope"},
                        "retry": 4,
                    }
                }
            },
        },
    ),
}

_CONTROL = "\x1b]0;P\x07\x1b[31mR\x1b[2J\x9b31m\x9d0;T\x9c‮e⁦\x85N\u2028L\u200b"

NAMES = {
    "control characters": graph(
        **{
            f"n{_CONTROL}": {
                "agent": "copyAgent",
                "inputs": {"x": _CONTROL},
                "isResult": True,
                "console": True,
            },
            "c": {"agent": "consoleAgent", "inputs": {"text": _CONTROL}},
            "f": {"agent": "jsonParserAgent", "inputs": {"text": _CONTROL}, "isResult": True},
        }
    ),
    "Markdown": graph(
        **{"x](javascript:1) <script>| forged |\n\n# a": {"agent": "sleeperAgent", "inputs": {"x": 1}}}
    ),
    "a name of 100 KB": graph(
        **{"n" * 100_000: {"agent": "sleeperAgent", "inputs": {"x": 1}, "isResult": True}}
    ),
    "an agent of 100 KB": one("z" * 100_000),
    "an agent of Perdure's own": one("perdure.segment", queue="perdure"),
    "names of an object": graph(
        **{
            "__proto__": {"value": 1},
            "a": {"agent": "copyAgent", "inputs": {"x": ":__proto__.__class__.mro"}},
        }
    ),
}

_NUMBERS = {
    "retry": (-1, 1e300, 2**63),
    "timeout": (1e18, 1e300, -5),
    "backoff": (1e12, 1e300),
    "deadline": (1e300,),
    "batch": (1e300, 0),
    "priority": (1e300,),
}

NUMBERS = {
    **{
        f"{key}: {number:g}": one("sleeperAgent", params={"duration": 10}, **{key: number})
        for key, numbers in _NUMBERS.items()
        for number in numbers
    },
    "concurrency: 1e300": {**one("sleeperAgent"), "concurrency": 1e300},
    "duration: 1e300": one("sleeperAgent", params={"duration": 1e300}),
    "duration: -1": one("sleeperAgent", params={"duration": -1}),
    "range of all numbers": one("copyAgent", repeatUntil={"exists": ".x"}, retry=2**53),
}


UNRESOLVED = {"dots in a URL", "names that no server knows"}
"""What is repeated until its deadline, because a name that does not resolve now may do so later."""


def cases() -> list[Case]:
    """All of them. What Perdure's client would refuse is also started by a stranger."""
    kinds = {"work": WORK, "text": TEXT, "size": SIZE, "many": MANY, "names": NAMES, "numbers": NUMBERS}
    wait = {"200 sleepers", "150 runs of a sleeper", "duration: 1e300", *UNRESOLVED}
    many = {"retry without end": 3, "long steps": 8, "150 runs of a sleeper": 150}
    ours = [
        Case(name=name, kind=kind, document=document, may_wait=name in wait, times=many.get(name, 1))
        for kind, documents in kinds.items()
        for name, document in documents.items()
    ]
    by_strangers = [
        replace(case, name=f"{case.name}, by a stranger", start=[request(case.document)])
        for case in ours
        if case.kind == "numbers" or case.name.startswith(("retry", "loop", "repeat"))
    ]
    return ours + by_strangers
