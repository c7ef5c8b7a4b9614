"""`perdure codec keys`: the keys that there are, their rotation, and runs of the command line with them."""

from __future__ import annotations

import json

from tests.support.cli import HELLO, Cli


def test_keys_are_made_added_and_changed(alone: Cli) -> None:
    first = json.loads(alone("codec", "keys", "--json").out)
    added = json.loads(alone("codec", "keys", "--add", "--json").out)
    (old,), (_, new) = first["reads"], added["reads"]
    assert (first["writes"], added["writes"]) == (old, old)
    assert alone("codec", "keys", "--use", new).out == f"{new}  writes\n{old}  is read\n"
    wrong = alone("codec", "keys", "--use", "k9")
    assert (wrong.code, "there is no key 'k9'" in wrong.err) == (2, True)
    fixed = alone("codec", "keys", "--add", PERDURE_CODEC_KEYS="env:KEYS", KEYS="k1 " + "A" * 43 + "=")
    assert (fixed.code, "keys in a variable cannot be changed here" in fixed.err) == (2, True)


def test_a_run_is_signed_and_read_again(alone: Cli) -> None:
    graph = alone.write("hello.yaml", HELLO)
    signed = {"PERDURE_CODEC": "mac"}
    assert "Hello, world!" in alone("run", graph, "--id", "r1", **signed).out
    assert "Hello, world!" in alone("result", "r1", **signed).out
    assert alone("history", "r1", **signed).code == 0
