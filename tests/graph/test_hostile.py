"""Hostile text is refused at once: no bomb, no crash, no recursion, nothing but JSON values."""

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from perdure.errors import GraphError
from perdure.graph.text.document import LIMITS
from perdure.graph.text.load import load

LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
MERGES = "b0: &b0 {k: v}\n" + "".join(
    f"b{level}: &b{level}\n  <<: [{', '.join([f'*b{level - 1}'] * 9)}]\n" for level in range(1, 10)
)
DEEP_ALIAS = "a0: &a0 [x]\n" + "".join(f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, 80))

HOSTILE = {  # name -> text, code of the refusal; read as JSON where the name says so
    "a billion laughs": (LAUGHS, "alias-bomb"),
    "merge keys": (MERGES, "alias-bomb"),
    "a long text, repeated": (f"a: &a {'x' * 99_000}\nb: [{', '.join(['*a'] * 50)}]", "too-large"),
    "a long key, repeated": (f"a: &a {{{'k' * 99_000}: 1}}\nb: [{', '.join(['*a'] * 50)}]", "too-large"),
    "aliases deeper than lists": (DEEP_ALIAS, "too-deep"),
    "a cycle": ("a: &a [*a]", "alias-cycle"),
    "a cycle of mappings": ("&a {b: {c: *a}}", "alias-cycle"),
    "a cycle by key": ("&a {b: {? *a : 1}}", "alias-cycle"),
    "no such anchor": ("[*a]", "unknown-alias"),
    "half a million brackets": ("[" * 500_000, "too-deep"),
    "half a million braces": ("{a: " * 200_000, "too-deep"),
    "lists on one line": ("- " * 400_000, "too-deep"),
    "explicit keys": ("? " * 400_000, "key-not-text"),
    "explicit keys in braces": ("{? " * 300_000, "too-deep"),
    "colons": (": " * 400_000, "too-deep"),
    "indentation": ("".join(" " * level + "k:\n" for level in range(1_300)), "too-deep"),
    "anchors": ("&a " * 300_000, "yaml-syntax"),
    "JSON: half a million brackets": ("[" * 500_000, "too-deep"),
    "JSON: half a million objects": ('{"a":' * 180_000, "too-deep"),
    "JSON: duplicate keys": ('{"a":1,"a":2}', "duplicate-key"),
    "JSON: NaN": ("[NaN]", "not-json-value"),
    "JSON: Infinity": ("[-Infinity]", "not-json-value"),
    "JSON: 1e999": ("[1e999]", "not-json-value"),
    "JSON: many digits": (f"[{'9' * 200_000}]", "not-json-value"),
    "JSON: half a pair": (r'{"\udc00": 1}', "bad-character"),
    "JSON: NUL": (r'"\u0000"', "bad-character"),
    "JSON: a long string": (f'"{"x" * 900_000}"', "too-long"),
    "JSON: open string of escapes": ('"' + "\\\\" * 400_000, "json-syntax"),
    "JSON: half a million numbers": ("[" + "1," * 499_000 + "1]", "too-many-values"),
    "a megabyte and more": ("x" * (LIMITS.size + 1), "too-large"),
    "few characters, many bytes": ("é" * 600_000, "too-large"),
    "half a million list items": ("[" + "1," * 499_000 + "1]", "too-many-values"),
    "a quarter of a million lines": ("- 1\n" * 240_000, "too-many-values"),
    "nothing but line ends": ("\n" * 900_000, "too-many-values"),
    "a long plain text": ("a: " + "x" * 900_000, "too-long"),
    "a long key": ("x" * 900_000 + ": 1", "too-long"),
    "a long quoted text": (f"a: '{'x' * 900_000}'", "too-long"),
    "a long block text": ("a: |\n  " + "x" * 900_000, "too-long"),
    "a long run of blanks": ("a: x" + " " * 900_000 + "y", "too-long"),
    "a long run of tabs": ("a:\n" + "\t" * 900_000 + "b: 1", "yaml-syntax"),
    "an open quote": ("a: '" + "''" * 400_000, "yaml-syntax"),
    "an open quote of escapes": ('a: "' + "\\\\" * 400_000, "yaml-syntax"),
    "no commas": ("[" + '"" ' * 200_000 + "]", "yaml-syntax"),
    "no commas in braces": ("{" + '"" ' * 200_000 + "}", "yaml-syntax"),
    "a long comment": ("#" * 900_000 + "\na: b: c", "yaml-syntax"),
    "only closing brackets": ("]" * 900_000, "yaml-syntax"),
    "many documents": ("---\n" * 190_000, "many-documents"),
    "many digits": ("a: " + "9" * 250_000, "not-json-value"),
    "many hexadecimal digits": ("a: 0x" + "f" * 250_000, "not-json-value"),
    "1e999": ("a: 1e999", "not-json-value"),
    "infinity": ("a: [-.INF]", "not-json-value"),
    "not a number": ("a: .NaN", "not-json-value"),
    "not a number as a key": (".nan: 1", "not-json-value"),
    "a Python object": ("a: !!python/object/apply:os.system [id]", "tag"),
    "a tag of the core": ("a: !!str 1", "tag"),
    "a binary": ("a: !!binary aGk=", "tag"),
    "a tag with a terminal escape": ("a: !\x1b[31m x", "tag"),
    "a tag directive": ("%TAG ! tag:example.org,2000:\n---\na: !b c", "directive"),
    "duplicate keys": ("a: 1\nb: 2\na: 3", "duplicate-key"),
    "keys that become the same": ("1: a\n'1': b", "duplicate-key"),
    "two merges": ("<<: 1\n<<: 2", "duplicate-key"),
    "a list as a key": ("{[a]: 1}", "key-not-text"),
    "a template without quotes": ("text: {{name}}", "key-not-text"),
    "an alias of a list as a key": ("a: &a [1]\n*a : 1", "key-not-text"),
    "half a pair by escape": (r'a: "\ud800"', "bad-character"),
    "half a pair": ("a: \ud800", "bad-character"),
    "NUL by escape": (r'a: "\0"', "bad-character"),
    "NUL": ("a: 1\nb: \0", "bad-character"),
}


def refusal(name: str) -> tuple[str, str]:
    """Code and message of the refusal of one hostile document; "accepted" if there is none."""
    try:
        load(HOSTILE[name][0], json=name.startswith("JSON"))
    except GraphError as error:
        (problem,) = error.problems
        return problem.code, str(problem)
    return "accepted", ""


@pytest.mark.parametrize("name", HOSTILE)
def test_refused(name: str) -> None:
    started = time.thread_time()
    code, message = refusal(name)
    spent = time.thread_time() - started
    assert code == HOSTILE[name][1]
    assert len(message) < 1_000
    assert "\x1b" not in message
    assert spent < 10  # 50 ms are enough for each; what is quadratic takes an hour


def test_refused_in_a_small_process() -> None:
    """No crash of the interpreter with a stack of 1 MB, no MemoryError, less than 50 MB for all of them."""
    done = subprocess.run(
        [sys.executable, __file__],
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["codes"] == {name: code for name, (_, code) in HOSTILE.items()}
    assert answer["megabytes"] < 50


def test_positions_of_bad_characters() -> None:
    with pytest.raises(GraphError) as caught:
        load("a: 1\nb: \0")
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == (2, 4)


TOO_MANY = {
    "nested lists": "[" + ", ".join(["[[[1]]]"] * (LIMITS.values // 4)) + "]",
    "lines": "- - 1\n" * (LIMITS.values // 2),
}


@pytest.mark.long
@pytest.mark.parametrize("name", TOO_MANY)
def test_more_values_than_marks(name: str) -> None:
    """What the count of commas and lines does not show is counted while the text is read."""
    with pytest.raises(GraphError) as caught:
        load(TOO_MANY[name], json=name == "nested lists")
    assert caught.value.problems[0].code == "too-many-values"


AT_THE_LIMIT = {
    "depth": "[" * LIMITS.depth + "]" * LIMITS.depth,
    "block depth": "- " * (LIMITS.depth - 1) + "[]",
    "mapping depth": "".join(" " * level + "k:\n" for level in range(LIMITS.depth)),
    "lists at the indentation of their key": "k:\n"
    + "".join("  " * level + "- k:\n" for level in range(LIMITS.depth // 2 - 1))
    + "  " * (LIMITS.depth // 2 - 1)
    + "- x",
    "scalar": "a: " + "x" * LIMITS.scalar,
    "size": "a: 1 #" + "x" * (LIMITS.size - 6),
    "aliases": f"a: &a [{', '.join('1' * 99)}]\nb: [{', '.join(['*a'] * (LIMITS.aliased // 100))}]",
    "values": "[" + "1," * (LIMITS.values - 2) + "1]",
}


@pytest.mark.parametrize("name", AT_THE_LIMIT)
def test_the_limit_itself_is_allowed(name: str) -> None:
    load(AT_THE_LIMIT[name], json=name == "values")


ONE_MORE = {
    "depth": "[" * (LIMITS.depth + 1) + "]" * (LIMITS.depth + 1),
    "block depth": "- " * LIMITS.depth + "[]",
    "mapping depth": "".join(" " * level + "k:\n" for level in range(LIMITS.depth + 1)),
    "lists at the indentation of their key": "k:\n"
    + "".join("  " * level + "- k:\n" for level in range(LIMITS.depth // 2))
    + "  " * (LIMITS.depth // 2)
    + "- x",
    "scalar": "a: " + "x" * (LIMITS.scalar + 1),
    "size": "a: 1 #" + "x" * (LIMITS.size - 5),
    "aliases": AT_THE_LIMIT["aliases"] + "\nc: *a",
}


@pytest.mark.parametrize("name", ONE_MORE)
def test_one_more_is_not(name: str) -> None:
    with pytest.raises(GraphError):
        load(ONE_MORE[name])


def main() -> None:
    """Reads all of HOSTILE under limits; prints the codes and what it took at most."""
    resource.setrlimit(resource.RLIMIT_STACK, (2**20, 2**20))
    resource.setrlimit(resource.RLIMIT_DATA, (2**28, 2**28))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    codes = {name: refusal(name)[0] for name in HOSTILE}
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"codes": codes, "megabytes": (after - before) / 1024}))


if __name__ == "__main__":
    main()
