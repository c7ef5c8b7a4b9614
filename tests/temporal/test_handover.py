"""What a run hands to a local activity of its own worker."""

from __future__ import annotations

import pytest

from perdure.errors import MalformedPayload
from perdure.protocol.wire import pack
from perdure.temporal.handover import Parcel, is_handed, taken


def test_a_local_activity_takes_what_the_run_holds() -> None:
    parcel = Parcel(pack({"x": 1}))
    assert is_handed(parcel.ticket)
    assert taken(parcel.ticket, is_local=True) is parcel.raw


def test_what_was_not_handed_over_stays_as_it_is() -> None:
    raw = pack({"x": 1})
    assert not is_handed(raw)
    assert taken(raw, is_local=False) is raw


def test_a_ticket_is_worth_nothing_once_the_run_has_let_go() -> None:
    parcel = Parcel(pack({"x": 1}))
    ticket = parcel.ticket
    del parcel
    with pytest.raises(MalformedPayload, match="not in this process"):
        taken(ticket, is_local=True)


def test_a_ticket_from_elsewhere_gives_nothing() -> None:
    parcel = Parcel(pack({"x": 1}))
    with pytest.raises(MalformedPayload, match="not in this process"):
        taken(parcel.ticket, is_local=False)
