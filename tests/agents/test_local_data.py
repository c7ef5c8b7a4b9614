"""Data that stays on its host: opened by name, and what a call that opened some may give back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from perdure.agents.agent import Agent, AgentContext, agent
from perdure.agents.catalog import agents_by_name, catalog
from perdure.agents.local_data import LocalDataAccess, released, without_message
from perdure.errors import FinalError, RunFailed, TransientError, UsageError
from perdure.memory.environment import MemoryEnvironment
from perdure.protocol.numpy_arrays import from_python
from perdure.settings import Settings
from perdure.settings.data_egress import DataEgress
from perdure.testing import run_in_memory

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
SECRET = "Ada Lovelace, 36"


def opened(rows: Any = None) -> LocalDataAccess:
    access = LocalDataAccess({"patients": Path("/srv/patients")})
    access("patients")
    if rows is not None:
        access.took(rows)
    return access


LEAVE: dict[str, Any] = {
    "weights and counts": {"weights": {"w": np.zeros((3, 2))}, "n": 4, "loss": 0.5, "site": "north"},
    "scores": {"f1": [0.5] * 10, "more": False, "note": None, "digest": "0" * 64},
    "a number": 7,
}


@pytest.mark.parametrize("value", LEAVE.values(), ids=LEAVE)
def test_aggregates_leave(value: Any) -> None:
    plain = from_python(value)
    assert released("a", plain, opened(ROWS), DataEgress()) is plain


KEPT: dict[str, tuple[Any, str]] = {
    "rows of numbers": ([[1, 2], [3, 4]], "objects, lists and strings in lists: 2"),
    "rows": ({"rows": [{"name": SECRET}]}, "objects, lists and strings in lists: 1"),
    "many numbers": (list(range(51)), "51 numbers and strings, more than 50"),
    "names": ({"worst": [SECRET]}, "objects, lists and strings in lists: 1"),
    "a long string": ({"summary": "x" * 101}, "strings of more than 100 characters: 1"),
    "a long name": ({"x" * 101: 1}, "strings of more than 100 characters: 1"),
    "the array of the rows": ({"x": ROWS * 2}, "arrays of the shape of the rows: 1"),
    "bytes": ({"image": b"png"}, "byte strings and other values: 1"),
}


@pytest.mark.parametrize(("value", "finding"), KEPT.values(), ids=KEPT)
def test_rows_stay(value: Any, finding: str) -> None:
    with pytest.raises(FinalError, match="the result stays on this worker") as refused:
        released("a", from_python(value), opened(ROWS), DataEgress())
    assert str(refused.value).split("opened 'patients': ")[1].startswith(finding + "\n")


@pytest.mark.parametrize(
    ("rule", "value", "finding"),
    [
        (DataEgress(kinds=("metrics",)), {"w": np.zeros(3)}, "arrays: 1"),
        (DataEgress(kinds=("tensors",)), {"n": 3}, "numbers and strings: 1"),
        (DataEgress(bytes=20), {"w": np.zeros(3)}, "25 bytes, more than 20"),
        (DataEgress(values=1), [1, 2], "2 numbers and strings, more than 1"),
        (DataEgress(rows=5), 1, "fewer than 5 rows behind it"),
        (DataEgress(rows=4), 1, None),
        (DataEgress(kinds=("rows", "text")), [{"name": "x" * 200}] * 60, None),
    ],
)
def test_an_operator_narrows_and_widens_it(rule: DataEgress, value: Any, finding: str | None) -> None:
    plain = from_python(value)
    if finding is None:
        assert released("a", plain, opened(ROWS), rule) is plain
    else:
        with pytest.raises(FinalError, match=finding):
            released("a", plain, opened(ROWS), rule)


def test_a_call_that_opens_nothing_gives_what_it_likes() -> None:
    access = LocalDataAccess({"patients": Path("/")})
    assert released("a", [[SECRET]], access, DataEgress(kinds=())) == [[SECRET]]


def test_settings() -> None:
    said = {"PERDURE_DATA": "a=/srv/a 'b=/srv/b c'", "PERDURE_DATA_EGRESS": "tensors rows=20,bytes=1000"}
    settings = Settings.from_env(said)
    assert settings.data == {"a": Path("/srv/a"), "b": Path("/srv/b c")}
    assert settings.data_egress == DataEgress(kinds=("tensors",), rows=20, bytes=1000)
    assert Settings.from_env({"PERDURE_DATA_EGRESS": "rows=3"}).data_egress.kinds == ("metrics", "tensors")


WRONG = [("DATA", text) for text in ("a", "a=", "a b=/x", "'a=/x", "../a=/x")]
WRONG += [("DATA_EGRESS", text) for text in ("numbers", "rows=few", "limit=3")]


@pytest.mark.parametrize(("name", "text"), WRONG)
def test_settings_that_mean_nothing(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"PERDURE_{name}"):
        Settings.from_env({f"PERDURE_{name}": text})


# In a run


@agent("leakAgent")
async def leak(params: dict[str, Any], context: AgentContext) -> Any:
    context.log("before")
    secret = context.data("patients").read(params.get("file", "")).decode()
    context.log(secret)
    await context.emit(secret)
    context.data.took(3)
    how = params["how"]
    if how == "other":
        context.data("others")
    if how == "rows":
        return {"rows": [secret]}
    if how == "exit":
        raise SystemExit(secret)
    if how == "length":
        return {"n": len(secret)}
    raise {"value": ValueError, "final": FinalError, "transient": TransientError}[how](secret)


@agent("pureAgent", pure=True)
def pure(context: AgentContext) -> Any:
    return context.data("patients").read().decode()


AGENTS: dict[str, Agent] = {**catalog(), **agents_by_name([leak, pure])}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "patients"
    folder.mkdir()
    (folder / "first.csv").write_text(SECRET)
    (tmp_path / "outside.csv").write_text(SECRET)
    (folder / "link.csv").symlink_to(tmp_path / "outside.csv")
    return Settings(home=tmp_path, file_root=tmp_path, data={"patients": folder, "one": folder / "first.csv"})


def run(settings: Settings, shown: list[Any], agent: str = "leakAgent", **params: Any) -> Any:
    node = {"agent": agent, "params": {"file": "first.csv", **params}, "isResult": True, "timeout": 60_000}

    async def stream(*piece: Any) -> None:
        shown.append(piece[-1])

    around = MemoryEnvironment(settings=settings, console=shown.append, stream=stream)
    return run_in_memory({"nodes": {"a": node}}, agents=AGENTS, environment=around).results["a"]


def failure(settings: Settings, shown: list[Any], **params: Any) -> str:
    with pytest.raises(RunFailed) as failed:
        run(settings, shown, **params)
    return str(failed.value)


def test_only_the_aggregate_leaves(settings: Settings) -> None:
    shown: list[Any] = []
    assert run(settings, shown, how="length") == {"n": len(SECRET)}
    assert shown == ["before"]


@pytest.mark.parametrize(
    ("how", "kind"),
    [("value", "ValueError"), ("final", "FinalError"), ("exit", "SystemExit"), ("rows", "")],
)
def test_no_failure_quotes_the_data(settings: Settings, how: str, kind: str) -> None:
    shown: list[Any] = []
    message = failure(settings, shown, how=how)
    kept = f"{kind} at test_local_data.py:" if kind else "the result stays on this worker"
    assert kept in message
    assert "Ada" not in message + repr(shown)


def test_a_transient_failure_stays_transient() -> None:
    error = without_message(TransientError(SECRET, 7), opened())
    assert (type(error), getattr(error, "retry_after", None)) == (TransientError, 7)
    assert SECRET not in str(error)


def test_messages_leave_if_the_operator_says_so(settings: Settings) -> None:
    shown: list[Any] = []
    open_rule = replace(settings, data_egress=DataEgress(kinds=("metrics", "text")))
    assert SECRET in failure(open_rule, shown, how="value")
    assert shown == ["before", SECRET, SECRET]


@pytest.mark.parametrize("file", ["../outside.csv", "link.csv"])
def test_a_folder_of_data_is_the_root(settings: Settings, file: str) -> None:
    message = failure(settings, [], how="length", file=file)
    assert "its message stays on this worker, because the call opened 'patients'" in message


def test_a_file_is_read_by_its_name(settings: Settings) -> None:
    access = LocalDataAccess(settings.data)
    assert access("one").read() == access("patients").read("first.csv") == SECRET.encode()


def test_a_file_may_be_too_large(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2_000_000_001)  # takes no room on the disk
    with pytest.raises(FinalError, match="is larger than 2,000,000,000 bytes"):
        LocalDataAccess({"all": tmp_path})("all").read("large")


def test_data_that_the_worker_lacks(settings: Settings) -> None:
    message = failure(settings, [], how="other")
    assert "this worker has no data 'others'\n  hint: start this worker with --data others=PATH" in message


def test_a_pure_agent_opens_none(settings: Settings) -> None:
    assert "a pure agent opens no local data" in failure(settings, [], agent="pureAgent")


def test_file_agents_do_not_read_it(settings: Settings) -> None:
    node = {
        "agent": "fileReadAgent",
        "inputs": {"file": "first.csv"},
        "params": {"baseDir": "patients", "outputType": "text"},
    }
    with pytest.raises(RunFailed, match="is local data of this worker, 'patients'"):
        run_in_memory({"nodes": {"a": node}}, environment=MemoryEnvironment(settings=settings))
