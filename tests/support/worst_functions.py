"""The worst values for every function of references: cases by their size."""

from collections.abc import Callable

from perdure.errors import FunctionError
from perdure.graph.reference import parse_reference
from perdure.graph.values import UNDEFINED, Value

WORST: dict[str, Callable[[int], list[Value]]] = {
    "add(1)": lambda n: [1.5],
    "average()": lambda n: [["1"] * (n // 4)],
    "codeBlock()": lambda n: ["```" + "a" * n, "\n```a" * (n // 5), "```" + " " * n],
    "codeBlockOrRaw()": lambda n: ["```" + "a" * n, "\n```a" * (n // 5)],
    "default(a)": lambda n: [UNDEFINED],
    "equal(a)": lambda n: ["a" * n, 1.5],
    "flat()": lambda n: [[[1]] * (n // 4)],
    "isEmpty()": lambda n: [[1] * (n // 2)],
    "join(-)": lambda n: [["\ud83d", "\ude00"] * (n // 20), [[["a"]]] * (n // 8)],
    "jsonParse()": lambda n: [
        "[" * n,
        "[" + "[]," * (n // 3) + "1]",
        '{"a":' * (n // 5),
        "9" * n,
        '"' + "\\" * n,
    ],
    "keys()": lambda n: [{str(i): 1 for i in range(n // 8)}],
    "length()": lambda n: [[1] * (n // 2)],
    "max()": lambda n: [["1.5"] * (n // 6)],
    "mean()": lambda n: [["x"] * (n // 4)],
    "min()": lambda n: [[[1]] * (n // 4)],
    "not()": lambda n: [True],
    "slice(1,-1)": lambda n: ["\U0001f600" * (n // 4)],
    "split(,)": lambda n: ["," * n],
    "split(--)": lambda n: ["-" * n],
    "sum()": lambda n: [["a"] * (n // 4), [1.5] * (n // 4), ["\ud83d", "\ude00"] * (n // 20)],
    "toJSON()": lambda n: [["\ud800"] * (n // 8), [{"a": 1.5}] * (n // 10)],
    "toLowerCase()": lambda n: ["\u0130" * (n // 2)],
    "toNumber()": lambda n: ["1" * n, "0x" + "f" * n, "." * n, "1e" * (n // 2), " " * n],
    "toString()": lambda n: [1e300],
    "toUpperCase()": lambda n: ["\u00df" * (n // 2)],
    "trim()": lambda n: [" " * n, " a" * (n // 2)],
    "values()": lambda n: [{str(i): 1 for i in range(n // 8)}],
}


def read(step: str, value: Value) -> Value:
    reference = parse_reference(f":node.{step}")
    assert reference is not None
    try:
        return reference.read(value)
    except FunctionError as error:
        return str(error)
