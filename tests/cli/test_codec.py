"""`perdure codec keys`: the keys that there are, their rotation, and runs of the command line with them."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from perdure.settings.key_ring import changing, ring_of, write_ring
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


def test_start_keys_of_principals(alone: Cli) -> None:
    made = json.loads(alone("codec", "keys", "--start", "alice", "--json").out)
    ((id, name),) = made["starts"].items()
    assert (name, alone("codec", "keys").out.splitlines()[-1]) == ("alice", f"{id}  starts runs of alice")
    assert alone("codec", "keys", "--export", "alice", "--to", "alice.keys").code == 0
    file = alone.folder / "alice.keys"
    assert (file.stat().st_mode & 0o777, f"start alice {id} " in file.read_text()) == (0o600, True)
    again = alone("codec", "keys", "--export", "alice", "--to", "alice.keys")
    assert (again.code, "name a file that is not there yet" in again.err) == (2, True)
    assert "starts" not in json.loads(alone("codec", "keys", "--remove", id, "--json").out)


def test_two_changes_of_the_keys_wait_for_each_other(alone: Cli) -> None:
    assert alone("codec", "keys").code == 0
    file = alone.folder / "own-home" / "payload.keys"
    adding = ThreadPoolExecutor(1)
    with changing(file):
        added = adding.submit(alone, "codec", "keys", "--add", "--json")
        time.sleep(2.0)
        write_ring(file, ring_of(f"file:{file}", file.parent).with_start_key("bob", datetime.now(UTC)))
        assert not added.done()
    assert list(json.loads(added.result().out)["starts"].values()) == ["bob"]


def test_runs_are_signed_by_default_and_unsigned_ones_are_read(alone: Cli) -> None:
    graph = alone.write("hello.yaml", HELLO)
    keys = alone.folder / "own-home" / "payload.keys"
    assert "Hello, world!" in alone("run", graph, "--id", "before", PERDURE_CODEC="off").out
    assert not keys.exists()
    assert "Hello, world!" in alone("result", "before").out
    assert (keys.stat().st_mode & 0o777, alone("history", "before").code) == (0o600, 0)
    assert "Hello, world!" in alone("run", graph, "--id", "after").out
    keys.unlink()  # now it has another key
    lost = alone("result", "after")
    assert lost.code != 0
    assert "written with the key" in lost.err
    assert "PERDURE_CODEC_KEYS" in lost.err
