"""Objects in a folder, of this machine or shared: atomic and durable, for any number of writers.

objects/3f/a9/3fa9…        an object, read-only in spirit: its bytes never change
objects/3f/a9/3fa9….gone   one that is being removed, and still read if need be
partial/…                  one that is being written
owners/…                   the namespaces that use the store

Invariants
    An object appears under its name whole or not at all: it is written to `partial`, synced, renamed.
    `write` returns once bytes and names are on disk, those of new folders included. An object that is
    there already gets a new date instead of being written, and its folder synced if it is so young that its
    writer may not have come to that yet.
    What is removed was older than asked at the moment of removal: the file is renamed first and dated
    again; a writer that renews it meanwhile either made it in time, and it is put back, or finds it
    missing and writes it. Readers look at both names.

Rejected
    Locks: a shared folder may not have them, and a killed process would leave one behind.
    One file for many objects, or SQLite: writers on several machines would wait for each other, and
    neither is safe on a network file system.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from perdure.errors import StoreUnavailable
from perdure.storage.backend import OBJECT_NAME, ObjectInfo

GONE = ".gone"
UNSETTLED_S = 60.0
"""Seconds: the entry of a younger file may not be on disk yet."""

Result = TypeVar("Result")


class Folder:
    """A folder, made when it is needed, readable by its owner only."""

    def __init__(self, root: Path) -> None:
        self.place = str(root)
        self._root = root
        self._objects = root / "objects"
        self._partial = root / "partial"
        self._owners = root / "owners"
        self._made: set[Path] = set()
        # Threads of its own: agents may hold all of the event loop's for as long as they like.
        self._threads = ThreadPoolExecutor(8, "perdure-store")

    async def write(self, name: str, data: bytes) -> None:
        """See Backend."""
        await self._outside(lambda: self._write(self._path(name), data))

    async def read(self, name: str) -> bytes | None:
        """See Backend."""
        return await self._outside(lambda: self._read(self._path(name)))

    async def holds(self, name: str) -> bool:
        """See Backend."""
        return await self._outside(self._path(name).is_file)

    async def list(self) -> AsyncGenerator[ObjectInfo]:
        """See Backend."""
        for part in await self._outside(lambda: _names(self._objects)):
            for item in await self._outside(lambda part=part: list(self._scan(part))):
                yield item

    async def remove(self, name: str, before: float) -> bool:
        """See Backend."""
        return await self._outside(lambda: _remove(self._path(name), before))

    async def owners(self) -> list[str]:
        """See Backend."""
        return await self._outside(lambda: _names(self._owners))

    async def add_owner(self, name: str) -> None:
        """See Backend."""
        await self._outside(lambda: self._add_owner(name))

    def _add_owner(self, name: str) -> None:
        self._make(self._owners)
        (self._owners / name).touch(mode=0o600)

    async def tidy(self, before: float) -> int:
        """See Backend."""
        return await self._outside(lambda: self._tidy(before))

    async def _outside(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as error:
            raise StoreUnavailable(
                f"the store {self.place}: {error.strerror or error} ({error.filename or 'no path'})",
                hint="look whether the disk is mounted, writable and has space",
            ) from error

    def _path(self, name: str) -> Path:
        return self._objects / name[:2] / name[2:4] / name

    def _write(self, path: Path, data: bytes) -> None:
        if _renew(path, len(data)):
            return
        try:
            self._create(path, data)
        except FileNotFoundError:  # another process removed folders that were made already
            self._made.clear()
            self._create(path, data)

    def _create(self, path: Path, data: bytes) -> None:
        self._make(path.parent)
        self._make(self._partial)
        number, partial = tempfile.mkstemp(dir=self._partial)  # for the owner only
        try:
            with open(number, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(partial)
            raise
        _sync(path.parent)

    def _make(self, folder: Path) -> None:
        """Makes a folder and all above it, and has their entries on disk."""
        if folder in self._made:
            return
        if folder != self._root:
            self._make(folder.parent)
            folder.mkdir(mode=0o700, exist_ok=True)
            _sync(folder.parent)
        elif not folder.is_dir():
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            with suppress(PermissionError):  # what is above may not be ours to read
                _sync(folder.parent)
        self._made.add(folder)

    def _read(self, path: Path) -> bytes | None:
        for file in (path, path.with_suffix(GONE)):
            with suppress(FileNotFoundError):
                return file.read_bytes()
        if not self._objects.is_dir():
            raise StoreUnavailable(
                f"the store {self.place}: there is no store in this folder",
                hint="mount it where it is shared, or correct PERDURE_STORE",
            )
        return None

    def _scan(self, part: str) -> Iterator[ObjectInfo]:
        for inner in _names(self._objects / part):
            for file in _names(self._objects / part / inner):
                name = file.removesuffix(GONE)
                if OBJECT_NAME.fullmatch(name):
                    with suppress(FileNotFoundError):
                        facts = (self._objects / part / inner / file).stat()
                        yield ObjectInfo(name, facts.st_size, facts.st_mtime)

    def _tidy(self, before: float) -> int:
        count = 0
        for name in _names(self._partial):
            with suppress(FileNotFoundError):
                if (self._partial / name).stat().st_mtime < before:
                    (self._partial / name).unlink()
                    count += 1
        return count


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _renew(path: Path, size: int) -> bool:
    """Sets the date of an object to now; False if there is none, or half of one."""
    try:
        facts = path.stat()
        if facts.st_size != size:
            return False
        os.utime(path)
        path.stat()  # it may have been put aside while its date was set
    except FileNotFoundError:
        return False
    if time.time() - facts.st_mtime < UNSETTLED_S:
        _sync(path.parent)
    return True


def _remove(path: Path, before: float) -> bool:
    """Renames the file first: a writer who renews it has done so in time, or finds it missing."""
    gone = path.with_suffix(GONE)
    try:
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= before:
                return False
            os.replace(path, gone)
        if gone.stat().st_mtime >= before:
            os.replace(gone, path)
            return False
        gone.unlink()
    except FileNotFoundError:
        return False
    return True


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
