"""The benchmark next to Flower and NVFlare: what is known without them."""

from __future__ import annotations

import pytest

from bench import federated_peers as peers
from bench.federated import graph
from bench.harness import Comparison, alternate
from bench.processes import Failed
from perdure.graph.review import review
from perdure.graph.text.document import Document

pytestmark = pytest.mark.anyio


async def test_who_is_not_installed_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("PERDURE_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    sides = [peers.simulation(2, 0, 3), peers.deployment(2, 0, 3), peers.nvflare(2, 0, 3)]
    compared = Comparison(name="c", title="C", unit="round", size=1)
    await alternate(compared, sides, 1, warm_up=False)
    hint = "is not installed: python -m bench federated --install-peers"
    assert [each.error for each in compared.series] == [f"flower {hint}", f"flower {hint}", f"nvflare {hint}"]


def test_the_first_round_does_not_count() -> None:
    meter = peers.Meter()
    assert meter.per_round([0, 10, 11, 13]) == {"seconds": 1.5}
    meter.taken = [(9.9, 1_000), (11, 1_500), (13.1, 3_000)]
    assert meter.per_round([0, 10, 11, 13]) == {"seconds": 1.5, "bytes": 1_000}
    with pytest.raises(Failed, match="only 2 rounds were seen"):
        meter.per_round([1, 2])


@pytest.mark.parametrize("hidden", [0, 8])
def test_the_graph_is_one(hidden: int) -> None:
    assert review(Document(graph(2, hidden, 3))).problems == ()
