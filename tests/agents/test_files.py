"""fileReadAgent and fileWriteAgent: nothing outside the folder for files."""

import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from perdure.agents.agent import AgentContext, declared
from perdure.agents.shipped import files
from perdure.errors import AgentError, FinalError
from perdure.net import confined_files
from perdure.settings import Settings

CONFORMANCE = Path(__file__).parents[2] / "../shared/conformance"
HELLO = {"type": "Buffer", "data": [104, 105, 10]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder for files, with a file inside, one outside, and ways that lead out."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"hi\n")
    (root / "sub" / "b.txt").write_bytes("\ufeffné".encode())
    (tmp_path / "secret.txt").write_text("secret")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "inner-link.txt").symlink_to(root / "a.txt")
    (root / "out").symlink_to(tmp_path)
    (root / "sub" / "up").symlink_to("..")
    os.mkfifo(root / "pipe")
    return root


def context(root: Path, **more: Any) -> AgentContext:
    return AgentContext(settings=Settings(file_root=root, **more))


def read(root: Path, inputs: dict[str, Any], **params: Any) -> Any:
    return files.file_read(inputs, {"baseDir": ".", **params}, context(root))


def write(root: Path, inputs: dict[str, Any], **params: Any) -> Any:
    return files.file_write(inputs, params, context(root, file_writes=True))


@pytest.mark.parametrize(
    ("inputs", "params", "expected"),
    [
        ({"file": "a.txt"}, {}, {"data": HELLO}),
        ({"file": "a.txt"}, {"outputType": "text"}, {"data": "hi\n"}),
        ({"file": "a.txt"}, {"outputType": "base64"}, {"data": "aGkK"}),
        ({"array": ["a.txt", "sub/b.txt"]}, {"outputType": "text"}, {"array": ["hi\n", "né"]}),
        ({"array": []}, {}, {"array": []}),
        ({"file": "/a.txt"}, {"outputType": "text"}, {"data": "hi\n"}),
        ({"file": "sub/../a.txt"}, {"outputType": "text"}, {"data": "hi\n"}),
        ({"file": "b.txt"}, {"baseDir": "sub", "outputType": "text"}, {"data": "né"}),
        ({"file": "../a.txt"}, {"baseDir": "sub", "outputType": "text"}, {"data": "hi\n"}),
    ],
)
def test_read(root: Path, inputs: Any, params: Any, expected: Any) -> None:
    assert read(root, inputs, **params) == expected


def test_base_dir_may_be_absolute_inside_the_root(root: Path, tmp_path: Path) -> None:
    assert read(root, {"file": "b.txt"}, baseDir=str(root / "sub"), outputType="text") == {"data": "né"}
    alias = tmp_path / "alias"
    alias.symlink_to(root)
    for base in (alias, root):
        assert read(alias, {"file": "a.txt"}, baseDir=str(base), outputType="text") == {"data": "hi\n"}


ESCAPES = [
    "../secret.txt",
    "sub/../../secret.txt",
    "./../secret.txt",
    "..",
    "../root-2/x",
    "link.txt",
    "out/secret.txt",
    "sub/up/a.txt",
    "a.txt/../../secret.txt",
    "inner-link.txt",
    "pipe",
    "sub",
    ".",
    "a.txt\0.png",
    "\0",
    "a.txt/b",
    "\udcff",
]


@pytest.mark.parametrize("name", ESCAPES)
@pytest.mark.parametrize("base", [".", ""], ids=["dot", "absolute"])
def test_escapes(root: Path, name: str, base: str) -> None:
    with pytest.raises(FinalError) as caught:
        read(root, {"file": name}, baseDir=base or str(root), outputType="text")
    assert "secret\n" not in str(caught.value)


@pytest.mark.parametrize(
    "base",
    ["..", "/", "/etc", "../root-2", "{root}/..", "{root}-2", "out", "sub/up", "{root}\0", "/proc/self"],
)
def test_base_dir_outside(root: Path, base: str) -> None:
    (root.parent / "root-2").mkdir()
    with pytest.raises((FinalError, AgentError)):
        read(root, {"file": "a.txt"}, baseDir=base.format(root=root), outputType="text")
    for name in ("secret.txt", "passwd", "environ"):
        with pytest.raises(AgentError):
            read(root, {"file": name}, baseDir=base.format(root=root), outputType="text")


@pytest.mark.parametrize("name", ["%2e%2e/secret.txt", "A.TXT", "no/such.txt", "~/x", "sub/up/../secret.txt"])
def test_names_that_are_only_names(root: Path, name: str) -> None:
    with pytest.raises(AgentError, match=r"^ENOENT: no such file or directory, open '"):
        read(root, {"file": name})


@pytest.mark.parametrize(
    ("inputs", "params", "finding"),
    [
        ({"file": "a.txt"}, {"baseDir": ""}, "fileReadAgent: params.baseDir is UNDEFINED!"),
        ({}, {}, "fileReadAgent no file"),
        ({"array": "a.txt"}, {}, "not a list"),
        ({"file": "a.txt"}, {"outputType": "stream"}, "cannot pass between agents"),
    ],
)
def test_read_refused(root: Path, inputs: Any, params: Any, finding: str) -> None:
    with pytest.raises(FinalError, match=finding):
        read(root, inputs, **params)


def test_large_files(root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(files.MAX_BUFFER_BYTES + 1)
    with pytest.raises(FinalError, match="outputType text or base64"):
        read(root, {"file": "large"})
    assert len(read(root, {"file": "large"}, outputType="text")["data"]) == files.MAX_BUFFER_BYTES + 1
    with (root / "large").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    with pytest.raises(FinalError, match="larger than 20,000,000"):
        read(root, {"file": "large"}, outputType="text")


def test_reading_a_pipe_does_not_wait(root: Path) -> None:
    done = threading.Event()

    def attempt() -> None:
        with pytest.raises(FinalError, match="regular"):
            read(root, {"file": "pipe"})
        done.set()

    threading.Thread(target=attempt, daemon=True).start()
    assert done.wait(120)


def test_a_swapped_link_never_leads_out(root: Path, tmp_path: Path) -> None:
    """A folder that turns into a link and back, all the time: reads give the inside or fail."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "b.txt").write_text("secret")
    (root / "trap").symlink_to(tmp_path / "outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(root / "sub", root / "kept")
            os.rename(root / "trap", root / "sub")
            os.rename(root / "sub", root / "trap")
            os.rename(root / "kept", root / "sub")

    thread = threading.Thread(target=swap)
    thread.start()
    outcomes: set[str] = set()
    try:
        for _ in range(2000):
            try:
                outcomes.add(read(root, {"file": "sub/b.txt"}, outputType="text")["data"])
            except AgentError as error:
                outcomes.add(type(error).__name__)
    finally:
        stop.set()
        thread.join()
    assert "né" in outcomes
    assert "secret" not in outcomes


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"file": "new.txt", "text": "né"}, "né".encode()),
        ({"file": "a.txt", "text": "over"}, b"over"),
        ({"file": "sub/n", "buffer": {"type": "Buffer", "data": [0, 255]}}, b"\x00\xff"),
        ({"file": "n", "text": "", "buffer": [1]}, b""),
        ({"file": "n", "text": None, "buffer": [1]}, b"\x01"),
    ],
)
@pytest.mark.parametrize("base", [None, "."])
def test_write(root: Path, inputs: Any, expected: bytes, base: str | None) -> None:
    result = write(root, inputs, **({"baseDir": base} if base else {}))
    path = root / inputs["file"]
    assert result == {"result": True, "path": str(path), "dir": str(path.parent), "file": path.name}
    assert path.read_bytes() == expected
    assert not list(root.rglob("*.part"))


def test_write_keeps_the_mode(root: Path) -> None:
    (root / "a.txt").chmod(0o600)
    write(root, {"file": str(root / "a.txt"), "text": "x"})
    assert stat.S_IMODE((root / "a.txt").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ESCAPES)
def test_write_escapes(root: Path, name: str) -> None:
    with pytest.raises(FinalError):
        write(root, {"file": name, "text": "x"})
    assert (root.parent / "secret.txt").read_text() == "secret"
    assert not list(root.parent.rglob("*.part"))


@pytest.mark.parametrize("name", ["/etc/perdure-test", "../outside.txt", "/proc/self/comm"])
def test_write_outside(root: Path, name: str) -> None:
    with pytest.raises(FinalError, match="not inside the folder for files"):
        write(root, {"file": name, "text": "x"})


def test_write_needs_a_folder(root: Path) -> None:
    with pytest.raises(AgentError, match="ENOENT"):
        write(root, {"file": "no/such.txt", "text": "x"})


@pytest.mark.parametrize(
    ("inputs", "finding"),
    [
        ({"text": "x"}, "fileWriteAgent: inputs.file is UNDEFINED!"),
        ({"file": "x", "text": ""}, "fileWriteAgent: inputs.file and inputs.buffer are UNDEFINED!"),
        ({"file": "x", "buffer": {"data": [1]}}, "neither text nor"),
        ({"file": "x", "buffer": [256]}, "neither text nor"),
        ({"file": "x", "text": "x" * (files.MAX_FILE_BYTES + 1)}, "20,000,001 bytes"),
    ],
)
def test_write_refused(root: Path, inputs: Any, finding: str) -> None:
    with pytest.raises(FinalError, match=finding):
        write(root, inputs)


def test_writes_are_off(root: Path) -> None:
    with pytest.raises(FinalError, match="PERDURE_FILE_WRITES=1"):
        files.file_write({"file": "x", "text": "x"}, {}, context(root))
    assert not (root / "x").exists()


def test_a_failed_write_leaves_the_old_content(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(AgentError, match="ENOSPC: No space left on device"):
        write(root, {"file": "a.txt", "text": "new"})
    assert (root / "a.txt").read_bytes() == b"hi\n"
    assert not list(root.glob(".*"))


def test_no_folder_for_files(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="gone"):
        read(tmp_path / "gone", {"file": "a.txt"})


def test_descriptors_are_closed(root: Path) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for name in (*ESCAPES, "a.txt", "no/such", "sub/b.txt"):
        try:
            read(root, {"file": name})
            write(root, {"file": name, "text": "x"})
        except AgentError:
            continue
    assert count() == before


def test_settings() -> None:
    assert Settings.from_env({"PERDURE_FILE_WRITES": "1"}).file_writes
    assert not Settings.from_env({"PERDURE_FILE_WRITES": "0"}).file_writes
    assert not Settings.from_env({}).file_writes
    allowed = Settings.from_env({"PERDURE_ALLOW_HOSTS": "127.0.0.1, localhost:8080"}).allow_hosts
    assert allowed == ("127.0.0.1", "localhost:8080")


def recorded() -> list[Any]:
    cases: list[Any] = []
    for part in ("own", "upstream"):
        path = CONFORMANCE / part / "agents.json"
        lines = path.read_text().splitlines() if path.exists() else []
        chosen = [line for line in lines if '"fileReadAgent"' in line or '"fileWriteAgent"' in line]
        cases += [
            pytest.param(json.loads(line.rstrip(",")), id=f"{part}-{i}") for i, line in enumerate(chosen)
        ]
    return cases or [pytest.param(None, marks=pytest.mark.skip(reason="no recorded cases here"))]


@pytest.mark.parametrize("case", recorded())
def test_recorded(case: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("hello\n")
    here = json.loads(json.dumps(case).replace("{{FILES}}", str(tmp_path)))
    function = {"fileReadAgent": files.file_read, "fileWriteAgent": files.file_write}[case["agent"]]
    assert declared(function)
    settings = context(tmp_path, file_writes=True)
    if "thrown" in here:
        with pytest.raises(AgentError) as caught:
            function(here["inputs"], here["params"], settings)
        assert str(caught.value) == here["thrown"]
    else:
        assert function(here["inputs"], here["params"], settings) == here["expected"]


def test_a_path_that_is_the_root_itself(tmp_path: Path) -> None:
    path, parts = confined_files.locate(tmp_path, ".", ".")
    assert (path, parts) == (str(tmp_path), [])
    with pytest.raises(FinalError, match="folder for files itself"):
        confined_files.read(tmp_path, path, parts, 10)


@pytest.mark.parametrize(
    "folder", ["/", "/etc", "/etc/ssl", "/proc/self", "/usr/share", "/home", "/var", str(Path.home())]
)
def test_folders_that_are_not_for_files_of_graphs(folder: str) -> None:
    with pytest.raises(FinalError, match="not a folder for files of graphs") as refused:
        read(Path(folder), {"file": "passwd"})
    assert "PERDURE_FILE_ROOT" in refused.value.hint


def test_a_link_to_such_a_folder(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    with pytest.raises(FinalError, match="not a folder for files of graphs"):
        read(tmp_path / "link", {"file": "etc/passwd"})


@pytest.mark.parametrize(
    "name", [".env", ".git/config", "sub/.env", ".../x", "..\\secret.txt", "sub/../.env"]
)
def test_hidden_files(root: Path, name: str) -> None:
    (root / ".env").write_text("KEY=secret")
    with pytest.raises(FinalError, match="is hidden: graphs use no names with a leading dot"):
        read(root, {"file": name})
    with pytest.raises(FinalError, match="is hidden"):
        write(root, {"file": name, "text": "x"})
    assert (root / ".env").read_text() == "KEY=secret"


def test_only_the_owner_reads_what_is_written(root: Path) -> None:
    write(root, {"file": "new.txt", "text": "x"})
    assert stat.S_IMODE((root / "new.txt").stat().st_mode) == 0o600
