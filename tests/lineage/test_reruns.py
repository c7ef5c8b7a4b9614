"""What a rerun executes, over random graphs. The long form: python -m tests.lineage.reruns --count 2000."""

from __future__ import annotations

import asyncio

import pytest

from tests.lineage.reruns import check_all


@pytest.mark.long
def test_a_rerun_calls_what_a_full_run_would_call_in_addition_and_gives_its_results() -> None:
    tally = asyncio.run(check_all(range(200)))
    assert tally.graphs > 50
    assert tally.made == tally.needed < tally.full / 3
