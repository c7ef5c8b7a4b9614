"""The arguments of commands, and where their runs go."""

from dataclasses import replace
from pathlib import Path

import pytest

from perdure.cli.inputs import graphs
from perdure.cli.running.local_models import progress_text
from perdure.cli.running.queue_choice import own_queue
from perdure.errors import UsageError
from perdure.local import Progress
from perdure.settings import Settings


@pytest.mark.parametrize(
    ("path", "name"),
    [("a/hello.yaml", "hello"), ("rag/graph.yaml", "rag"), ("-", "stdin"), ("b.c.json", "b.c")],
)
def test_the_name_of_a_run(path, name):
    assert graphs.name_of(path) == name


def test_inputs(tmp_path):
    (tmp_path / "text.txt").write_text("- not: yaml\n")
    (tmp_path / "value.yaml").write_text("[1, two]")
    (tmp_path / "bytes.bin").write_bytes(b"\xff")
    values = ["a=1", "b={x: [y]}", "c=", "d=x=y", "e='1'"]
    files = [f"t={tmp_path}/text.txt", f"v={tmp_path}/value.yaml"]
    assert graphs.inputs_of(values, files) == {
        "a": 1,
        "b": {"x": ["y"]},
        "c": None,
        "d": "x=y",
        "e": "1",
        "t": "- not: yaml\n",
        "v": [1, "two"],
    }
    with pytest.raises(UsageError, match="is not UTF-8 text"):
        graphs.inputs_of([], [f"x={tmp_path}/bytes.bin"])


def test_a_configuration(tmp_path):
    (tmp_path / "config.yaml").write_text("openAIAgent: {model: m}")
    assert graphs.config_of(str(tmp_path / "config.yaml")) == {"openAIAgent": {"model": "m"}}
    assert graphs.config_of(None) == {}


def test_commands_share_a_queue_when_they_are_alike(tmp_path, monkeypatch):
    settings = Settings(home=tmp_path, file_root=tmp_path)
    queue = own_queue(settings, ["mine.agents"])
    assert queue.startswith("perdure-")
    for alike in (settings, replace(settings, home=Path("/elsewhere")), replace(settings, server_idle=1.0)):
        assert own_queue(alike, ["mine.agents"]) == queue
    others = [
        own_queue(settings, []),
        own_queue(replace(settings, file_root=Path("/")), ["mine.agents"]),
        own_queue(replace(settings, keys={"openai": "k"}), ["mine.agents"]),
        own_queue(replace(settings, queue="q"), ["mine.agents"]),
    ]
    assert len({queue, *others}) == 5
    monkeypatch.chdir(tmp_path)
    assert own_queue(settings, ["mine.py"]) == own_queue(settings, [str(tmp_path / "mine.py")])


def test_a_download_is_reported_in_tenths():
    progress = Progress(model="m", phase="downloading", done=47 << 20, total=100 << 20)
    assert progress_text(progress) == "local model m: downloading, 40 % of 100 MiB"
