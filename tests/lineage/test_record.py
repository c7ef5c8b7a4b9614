"""Records: written and read, what of them is recalled, and their limits."""

from __future__ import annotations

import math
from typing import Any

import pytest

from perdure.engine.messages import RunAgent
from perdure.errors import MalformedPayload, UsageError
from perdure.graph.deferred import BlobRef, deferred_in
from perdure.graph.values import UNDEFINED
from perdure.lineage.fingerprint import FINGERPRINT_DIGIT_COUNT, address_of, fingerprint
from perdure.lineage.recall import Recall, numbers_of, written_numbers
from perdure.lineage.record import Entry, Record, read_record
from perdure.protocol.encoding import decode, encode
from tests.support.commands import call


def blob(number: int) -> BlobRef:
    return BlobRef(f"{number:064x}", 10, "string", 10)


def entry(command: RunAgent, result: Any) -> Entry:
    return Entry(command.key, fingerprint(command) or "", result)


@pytest.mark.parametrize(
    ("position", "address"),
    [
        ("draft", "draft"),
        ("draft@2", "draft"),
        ("chapters[3].draft@2", "chapters[].draft"),
        ("outer@1.rows[10].inner@3.leaf", "outer.rows[].inner.leaf"),
    ],
)
def test_addresses(position: str, address: str) -> None:
    assert address_of(position) == address


def test_what_is_written_is_read() -> None:
    values = [1, None, "text", [UNDEFINED, {"x": -math.inf}], blob(1), {"deep": [blob(2)]}]
    record = Record(
        tuple(Entry(f"n[{number}]", "f", value, 0.5, "r1") for number, value in enumerate(values)),
        {"set": UNDEFINED},
    )
    written, handles = record.written()
    assert handles == [blob(1), blob(2)]
    assert next(deferred_in(written), None) is None
    data, places = encode(written)
    read = read_record(decode(data, places), handles)
    assert repr(read) == repr(record)


@pytest.mark.parametrize("data", [None, [], [[["n"]], []], [[["n", "f", 1, [[["x"], 0]], 0, ""]], []], "ab"])
def test_what_is_no_record_is_refused(data: Any) -> None:
    with pytest.raises(MalformedPayload):
        read_record(data)


def test_large_results_are_bounded() -> None:
    entries = tuple(Entry("n", "f", blob(number)) for number in range(5_001))
    assert len(Record(entries[1:]).written()[1]) == 5_000
    with pytest.raises(UsageError, match="large results"):
        Record(entries).written()


def test_a_fingerprint_is_shorter_than_the_name_of_an_object() -> None:
    mark = fingerprint(call(1, "n", {"x": 1}))
    assert mark is not None
    assert len(mark) == FINGERPRINT_DIGIT_COUNT == 32


def test_the_same_position_comes_first_and_each_entry_answers_once() -> None:
    calls = [call(number, f"m[{number}].n", {"x": "same"}) for number in range(3)]
    recall = Recall(Record(tuple(entry(each, each.key) for each in calls)))
    third = recall.find(calls[2])
    assert third is not None
    assert (third.result, recall.find(calls[2])) == ("m[2].n", third)
    inserted = recall.find(call(7, "m[7].n", {"x": "same"}))
    assert inserted is not None
    assert inserted.result == "m[0].n"
    left = recall.find(calls[0])
    assert left is not None
    assert left.result == "m[1].n"
    assert recall.find(calls[1]) is None
    recall.release(7)
    again = recall.find(calls[1])
    assert again is not None
    assert again.result == "m[0].n"


def test_other_inputs_params_or_nodes_are_other_work() -> None:
    recall = Recall(Record((entry(call(1, "n", {"x": 1}, p=1), "r"),)))
    others = (call(2, "n", {"x": 2}, p=1), call(3, "n", {"x": 1}, p=2), call(4, "other", {"x": 1}, p=1))
    assert [recall.find(each) for each in others] == [None, None, None]
    assert recall.find(call(5, "n", {"x": 1}, p=1)) is not None


def test_a_value_that_a_person_has_set_answers_every_call_of_its_node() -> None:
    recall = Recall(Record((), {"m[].n": "all", "m[1].n": "one"}))
    results = [recall.find(call(number, f"m[{number}].n", {})) for number in range(3)]
    assert [each.result for each in results if each is not None] == ["all", "one", "all"]


@pytest.mark.parametrize("numbers", [set[int](), {0}, {7, 8, 63}, {*range(0, 3_000, 7)}])
def test_numbers_of_entries_are_written(numbers: set[int]) -> None:
    assert numbers_of(written_numbers(numbers)) == numbers
