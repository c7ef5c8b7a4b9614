"""How a worker reads the records that its reruns reuse."""

from __future__ import annotations

import anyio
import pytest

from perdure.activities.records import Records
from perdure.errors import MalformedPayload, ObjectMissing
from perdure.graph.deferred import BlobRef
from perdure.lineage.record import Entry, Record
from perdure.storage import open_store
from perdure.storage.claim_check import ClaimCheck


def test_few_records_are_kept() -> None:
    async def kept() -> list[int]:
        store = open_store("memory://records")
        claims, records = ClaimCheck(store, 10), Records()
        made = [Record((Entry(f"n[{number}]", "f", number),)) for number in range(6)]
        places = [await claims.keep(record.written()[0]) for record in made]
        for place in places:
            assert isinstance(place, BlobRef)
            await records.read({"run": "r", "record": place, "handles": []}, claims)
        without = ClaimCheck(open_store("memory://no-records"), 10)
        numbers: list[int] = []
        for number, place in enumerate(places):
            try:
                await records.read({"run": "r", "record": place, "handles": []}, without)
                numbers.append(number)
            except ObjectMissing:
                pass
        return numbers

    assert anyio.run(kept) == [2, 3, 4, 5]


def test_a_request_that_names_no_record_is_refused() -> None:
    async def read() -> None:
        await Records().read({"run": "r"}, ClaimCheck(None, 0))

    with pytest.raises(MalformedPayload):
        anyio.run(read)
