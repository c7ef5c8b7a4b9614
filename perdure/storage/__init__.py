"""The object store: large values, kept once under the hash of their bytes, outside of Temporal.

    store = open_store("s3://bucket/perdure")
    digest = await store.put(data)
    data = await store.get(digest)

What is stored refers to nothing else in the store. `perdure.garbage` finds what is not needed any more.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from perdure.errors import UsageError
from perdure.storage.backend import Backend, ObjectInfo
from perdure.storage.folder import Folder
from perdure.storage.memory import Memory
from perdure.storage.objects import Store

__all__ = ["ObjectInfo", "Store", "backend_of", "open_store"]

REMOTE = ("s3", "gs", "az")
URL_HINT = "give a folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"


def open_store(url: str) -> Store:
    """The store at `url`: a folder (a path, or file:///path), memory://, s3://, gs:// or az://.

    Nothing is read or written yet; a folder is made when something is put. Raises UsageError for an
    address that is none, or that lacks what its kind needs.
    """
    return Store(backend_of(url))


def backend_of(url: str) -> Backend:
    """What keeps the objects of the store at `url`: for a Store with other times than the usual."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return Folder(Path(url).expanduser().absolute())
    if scheme == "memory":
        return Memory.named(rest)
    if scheme == "file":
        return Folder(_path(url))
    if scheme not in REMOTE:
        raise UsageError(f"store {url!r}: there are no stores of the kind {scheme!r}", hint=URL_HINT)
    if not rest.strip("/"):
        raise UsageError(f"store {url!r}: the name of the bucket or container is missing", hint=URL_HINT)
    from perdure.storage.remote import Remote  # noqa: PLC0415 -- loads obstore, for those who have such a store

    return Remote(url)


def _path(url: str) -> Path:
    parts = urlsplit(url)
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise UsageError(f"store {url!r}: no folder of this machine", hint="write file:///path/to/folder")
    return path
