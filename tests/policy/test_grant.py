"""The laws of grants, and that what is allowed agrees with them."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.policy.grant import GRANT_KINDS, NOTHING, ONLY_PURE, Grant, meet

NAMES = ("@pure", "*", "a", "b", "c", "agent", "graph")
NAME_SETS = st.frozensets(st.sampled_from(NAMES), max_size=4)
HOSTS = ("*", "a.org", "b.a.org", "*.a.org", "org")
FOLDERS = ("*", ".", "in", "in/deep", "out")
HOST_SETS = st.frozensets(st.sampled_from(HOSTS), max_size=3)
FOLDER_SETS = st.frozensets(st.sampled_from(FOLDERS), max_size=3)
SIMPLE = st.builds(Grant.of, NAME_SETS, NAME_SETS, NAME_SETS, HOST_SETS, FOLDER_SETS, FOLDER_SETS)
PATHS = ("a", "in/a", "in/deep/a", "inner/a", "out/in")
GRANTS = st.one_of(SIMPLE, st.just(Grant()), st.just(NOTHING), st.builds(meet, SIMPLE, SIMPLE))

LAW = settings(
    deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def allowed(grant: Grant) -> set[tuple[Any, ...]]:
    """Everything of a small world that a grant allows."""
    agents = {("agent", n, p) for n, p in product("abcd", (False, True)) if grant.allows_agent(n, is_pure=p)}
    hosts = {
        ("host", h) for h in ("x.org", *HOSTS[1:3], "c.b.a.org", "xa.org") if grant.host_refusal(h) is None
    }
    paths = product(("reads", "writes"), PATHS)
    files = {(kind, path) for kind, path in paths if grant.path_refusal(kind, path.split("/")) is None}
    named = {(kind, n) for kind in GRANT_KINDS[1:3] for n in NAMES[2:] if grant.allows(kind, n)}
    return agents | hosts | files | named


@LAW
@given(GRANTS, GRANTS, GRANTS)
def test_the_meet_has_the_laws_of_a_semilattice(one: Grant, two: Grant, three: Grant) -> None:
    assert meet(one, one) == one
    assert meet(one, two) == meet(two, one)
    assert meet(meet(one, two), three) == meet(one, meet(two, three))
    assert meet(one, Grant()) == one
    assert meet(one, NOTHING) == NOTHING


@LAW
@given(GRANTS, GRANTS, GRANTS)
def test_the_meet_allows_what_both_allow(one: Grant, two: Grant, three: Grant) -> None:
    assert allowed(meet(one, two)) == allowed(one) & allowed(two)
    assert meet(one, two).is_within(one)
    if one.is_within(two):
        assert allowed(one) <= allowed(two)
        assert meet(one, three).is_within(meet(two, three))


@LAW
@given(GRANTS)
def test_what_is_written_is_read(grant: Grant) -> None:
    assert Grant.read(grant.written()) == grant
    assert allowed(NOTHING) == set()
    assert grant.is_within(Grant())
    assert NOTHING.is_within(grant)


def test_pure_stands_for_pure_agents_and_nothing_else() -> None:
    assert allowed(ONLY_PURE) == {("agent", name, True) for name in "abcd"}


def test_what_cannot_be_read_allows_nothing() -> None:
    unreadable: list[Any] = [
        None,
        [],
        "x",
        {"agents": 5},
        {"agents": [5]},
        {"agents": [[[]]]},
        {"minds": [["a"]]},
    ]
    for data in unreadable:
        assert Grant.read(data) == NOTHING
