"""What a change of a running graph comes to, over random graphs.

The long form: python -m tests.lineage.patches --count 10000
"""

from __future__ import annotations

import pytest

from tests.lineage.patches import check_all


@pytest.mark.long
def test_a_graph_that_was_changed_while_it_ran_gives_what_a_full_run_of_the_new_one_gives() -> None:
    tally = check_all(range(1_500))
    assert tally.compared > 1_000
    assert tally.refused > 100
    for kind in ("source completed: is executed again", "definition executing: is called again"):
        assert tally.kinds[kind] > 20
