"""What runs of earlier versions do otherwise: their histories hold what they decided."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Gates:
    """What a run of an earlier version may lack, for it must decide as it did.

    Without `quorums` a quorum of a map means nothing, without `carries` late rows are dropped. Without
    `foresees` more graphs are open, and what the quotas cannot end begins, maps in maps also without
    `foresees_rows`; without `foresees_open` rows that open maps have yet to begin do not count for that.
    Without `moves_rows` a change of options does not reach open rows, and without `weighs` sizes take no
    steps. Without `bounds_inputs` the inputs of a call may be as large as any value.
    """

    quorums: bool = True
    carries: bool = True
    foresees: bool = True
    foresees_rows: bool = True
    foresees_open: bool = True
    bounds_inputs: bool = True
    moves_rows: bool = True
    weighs: bool = True
