"""File locks: exclusive ones, leases that many hold, and who holds none any more.

All of them are flock(2) locks, which die with their last holder, so that nothing has to be
cleaned up after a crash. A folder must be on a file system that has them, as local disks do.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from perdure.errors import ConnectionFailed

LOCK_POLL_INTERVAL_S = 0.02
"""Seconds between two looks at a lock."""

HOME_HINT = "set PERDURE_HOME to a folder of yours on a local disk"


class Lease:
    """Keeps a daemon from retiring for as long as the context lasts, or from `take` to `give_back`.

    It dies with its process. Enter it before `daemon.ensure`. Entering waits for a daemon that is just
    retiring, and raises ConnectionFailed where that takes more than `timeout` seconds.
    """

    def __init__(self, folder: Path, name: str, timeout: float = 30.0) -> None:
        self._folder = folder
        self._name = name
        self._timeout = timeout
        self._lock = -1

    def __enter__(self) -> Lease:
        self.take()
        return self

    def take(self) -> None:
        """Takes the lease, until `give_back`."""
        make_private(self._folder)
        self._lock = open_lock(self._folder / f"{self._name}.lease")
        try:
            acquire(self._lock, fcntl.LOCK_SH, self._timeout, f"{self._name} is stopping")
        except BaseException:
            os.close(self._lock)
            raise
        self._touch()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.give_back()

    def give_back(self) -> None:
        """Ends it; it may have ended before."""
        if self._lock < 0:  # left before: the number may be another file's by now
            return
        self._touch()
        os.close(self._lock)
        self._lock = -1

    def _touch(self) -> None:
        with suppress(OSError):  # a full disk must not turn a finished command into a failed one
            os.utime(self._lock)


def idle(folder: Path, name: str) -> bool:
    """Whether no process holds a lease at this moment."""
    return not held(folder / f"{name}.lease", fcntl.LOCK_EX)


def retire(folder: Path, name: str) -> bool:
    """Called by a daemon that wants to end: True if no process holds a lease, and then no process gets one
    until this process is gone, so that the next command starts a new daemon and never meets a
    dying one.
    """
    lease = open_lock(folder / f"{name}.lease")
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lease)
        return False
    return True


class IdleWatch:
    """How long a daemon has been unused. A lease that came and went between two calls counts."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._seen = 0
        self._since = time.monotonic()

    def seconds(self) -> float:
        """Seconds since a lease was last held, as far as calls of this method saw it."""
        touched = self._touched()
        if touched != self._seen or not idle(self._folder, self._name):
            self._seen = touched
            self._since = time.monotonic()
        return time.monotonic() - self._since

    def _touched(self) -> int:
        try:
            return (self._folder / f"{self._name}.lease").stat().st_mtime_ns
        except OSError:
            return 0


def make_private(folder: Path) -> None:
    """Make `folder` and its parents. What it holds is its owner's alone (mode 0700).

    Raises:
        ConnectionFailed: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise _refusal(folder, error) from error


def open_lock(path: Path, flags: int = 0) -> int:
    """A descriptor of the file, made with mode 0600; it is not inherited. `flags` are more of os.open.

    Raises:
        ConnectionFailed: the file cannot be made or written.
    """
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: OSError) -> ConnectionFailed:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space, then call again; nothing is lost" if full else HOME_HINT
    return ConnectionFailed(f"{path}: {error.strerror}", hint=hint)


def held(path: Path, mode: int = fcntl.LOCK_SH) -> bool:
    """Whether a process holds the lock in a way that excludes `mode`."""
    try:
        lock = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(lock, mode | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def acquire(lock: int, mode: int, timeout: float, reason: str) -> None:
    """Lock the descriptor, waiting at most `timeout` seconds.

    Raises:
        ConnectionFailed: another process holds it for longer, which `reason` explains.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            return fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise ConnectionFailed(f"{reason}, for more than {timeout:g} s", hint="try again") from None
            time.sleep(LOCK_POLL_INTERVAL_S)
        except OSError as error:
            raise ConnectionFailed(f"no file locks here ({error.strerror})", hint=HOME_HINT) from error


@contextmanager
def locked(path: Path, timeout: float, reason: str) -> Generator[None]:
    """Hold the file's lock alone for as long as the context lasts. Raises like `acquire`."""
    lock = open_lock(path)
    try:
        acquire(lock, fcntl.LOCK_EX, timeout, reason)
        yield
    finally:
        os.close(lock)
