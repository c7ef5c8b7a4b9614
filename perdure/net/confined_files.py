"""Files below one folder: opened part by part, following no link, so that nothing leads outside.

Each folder of a path is opened relative to the one before it, with O_NOFOLLOW. A link that is put in
the way at any moment, also between two steps, makes the walk fail; there is no name left to race on.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from perdure.engine.granting.authority import not_granted
from perdure.errors import AgentError, FinalError
from perdure.policy.grant import Grant

_WIDE = ("/", "/home", "/root", "/Users", "/opt", "/srv", "/mnt", "/media", "/tmp", "/var", "/private")
_OF_THE_SYSTEM = {
    *("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "run", "sbin", "sys", "usr"),
    *("Applications", "Library", "System"),
}


def locate(root: Path, folder: str, name: str) -> tuple[str, list[str]]:
    """The absolute path that `name` in `folder` means, and its parts below `root`.

    `folder` is relative to `root`, or absolute and inside it; `name` is relative to `folder` even where
    it begins with a slash (as Node's path.join has it). Raises FinalError for what lies outside or is hidden.
    """
    base = os.path.abspath(root)
    _check_root(base)
    named = _can_name_a_file(folder + name)
    full = os.path.normpath(os.path.join(base, folder) + "/" + name) if named else ""
    for top in dict.fromkeys((base, os.path.realpath(base))):
        inside = os.path.relpath(full, top) if named else ".."
        if inside != ".." and not inside.startswith("../"):
            parts = [] if inside == "." else inside.split("/")
            if any(part.startswith(".") for part in parts):
                raise FinalError(
                    f"{_shown(os.path.join(folder, name))} is hidden: graphs use no names with a leading dot",
                    hint="such files hold keys and settings; give the file another name where it is meant",
                )
            return full, parts
    raise FinalError(
        f"{_shown(os.path.join(folder, name))} is not inside the folder for files",
        hint="give a path below it; the worker chooses the folder with PERDURE_FILE_ROOT",
    )


def check_grant(grant: Grant, kind: str, parts: list[str]) -> None:
    """Raises NotGranted where a file with these parts below the root may not be touched (reads, writes)."""
    clause = grant.path_refusal(kind, parts)
    if clause is not None:
        raise not_granted(kind, "/".join(parts), clause)


def check_apart(root: Path, parts: list[str], data: Mapping[str, Path]) -> None:
    """Raises FinalError for a path below `root` in local data of the worker, which agents open by name only.

    Links below the root need no look: they are never followed.
    """
    for name, place in data.items():
        if Path(os.path.realpath(root), *parts).is_relative_to(os.path.realpath(place)):
            raise FinalError(
                f"{_shown('/'.join(parts))} is local data of this worker, {name!r}",
                hint="an agent of the worker opens it with context.data, and gives back what may leave",
            )


def read(root: Path, path: str, parts: list[str], limit: int) -> bytes:
    """The content of a regular file below `root`; `path` is what messages call it.

    Raises AgentError (``ENOENT: …``) if there is none, FinalError for links, folders, pipes,
    devices and files of more than `limit` bytes.
    """
    # Without O_NONBLOCK, opening a pipe waits for a writer, perhaps forever.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with _parent(root, path, parts) as (folder, name), _explained(path):
        file = os.open(name, flags, dir_fd=folder)
        try:
            status = os.fstat(file)
            _check_regular(status.st_mode, path)
            content = b"" if status.st_size > limit else _read_all(file, limit + 1)
        finally:
            os.close(file)
    if max(status.st_size, len(content)) > limit:
        raise FinalError(f"{_shown(path)} is larger than {limit:,} bytes, the most a value may hold")
    return content


def _read_all(file: int, limit: int) -> bytes:
    content = bytearray()
    while len(content) < limit and (piece := os.read(file, min(limit - len(content), 1 << 20))):
        content += piece
    return bytes(content)


def write(root: Path, path: str, parts: list[str], content: bytes) -> None:
    """Writes a regular file below `root`: a reader sees the old content or the new, never a part.

    The folder must exist. Raises AgentError where it does not, FinalError where something else than a
    regular file has the name.
    """
    with _parent(root, path, parts) as (folder, name), _explained(path):
        mode = None
        with suppress(FileNotFoundError):
            mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
            _check_regular(mode, path)
        draft = f".{secrets.token_hex(8)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with open(os.open(draft, flags, 0o600, dir_fd=folder), "wb") as file:
                if mode is not None:
                    os.fchmod(file.fileno(), stat.S_IMODE(mode))
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(draft, dir_fd=folder)
            raise


@contextmanager
def _parent(root: Path, path: str, parts: list[str]) -> Generator[tuple[int, str]]:
    """The open folder that holds the last of `parts`, and that part."""
    if not parts:
        raise FinalError(f"{_shown(path)} is the folder for files itself, not a file")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    with _explained(str(root)):
        folder = os.open(root, flags)
    try:
        for part in parts[:-1]:
            with _explained(path):
                deeper = os.open(part, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = deeper
        yield folder, parts[-1]
    finally:
        os.close(folder)


def _check_root(root: str) -> None:
    """Raises FinalError for a folder that holds more than files for graphs: it may hold keys and programs."""
    real = os.path.realpath(root)
    if real in (os.path.realpath(os.path.expanduser("~")), *_WIDE) or real.split("/")[1] in _OF_THE_SYSTEM:
        raise FinalError(
            f"{_shown(root)} is not a folder for files of graphs: a home, or a folder of the system",
            hint="start the worker with PERDURE_FILE_ROOT, a folder that holds such files and nothing else",
        )


def _can_name_a_file(path: str) -> bool:
    """Whether `path` means one file: it has no NUL and no lone surrogate, which would be cut or changed."""
    return "\0" not in path and not any("\ud800" <= char <= "\udfff" for char in path)


def _check_regular(mode: int, path: str) -> None:
    if not stat.S_ISREG(mode):
        kind = "a link" if stat.S_ISLNK(mode) else "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise FinalError(f"{_shown(path)} is {kind}", hint="agents use regular files only")


@contextmanager
def _explained(path: str) -> Generator[None]:
    """Turns an OSError into an AgentError; the ENOENT text is Node's, which graphs may compare."""
    try:
        yield
    except OSError as error:
        raise _as_agent_error(error, path) from None


def _as_agent_error(error: OSError, path: str) -> AgentError:
    if error.errno == errno.ENOENT:
        return AgentError(f"ENOENT: no such file or directory, open '{_shown(path)}'")
    if error.errno in (errno.ELOOP, errno.EMLINK, errno.ENOTDIR):
        return FinalError(f"{_shown(path)} goes through a link, or through a file as if it were a folder")
    if error.errno == errno.ENXIO:
        return FinalError(f"{_shown(path)} is not a regular file", hint="agents use regular files only")
    code = errno.errorcode.get(error.errno or 0, "EIO")
    return AgentError(f"{code}: {error.strerror}, open '{_shown(path)}'")


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode().replace("\0", "\\0")[:500]
