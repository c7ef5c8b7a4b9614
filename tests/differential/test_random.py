"""Random graphs through GraphAI and through the engine, where GraphAI is installed."""

import json
from collections.abc import Iterator

import pytest

from tests.differential.oracle import Oracle, oracle_folder
from tests.differential.run import explore

FIRST, COUNT = 1, 300


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    folder = oracle_folder()
    if folder is None:
        pytest.skip("GraphAI is not here: node, and PERDURE_ORACLE with the folder of the oracle")
    oracle = Oracle(folder)
    yield oracle
    oracle.close()


def test_random_graphs_run_as_in_graphai(oracle: Oracle) -> None:
    report = explore(oracle, range(FIRST, FIRST + COUNT))
    different = [
        f"{case['name']}: {differences}\n{json.dumps(case['graph'])}" for case, differences in report.failures
    ]
    assert different == []
    assert report.features["ran a node"] > COUNT * 0.7
    assert report.features["only valid"] > COUNT * 0.8
