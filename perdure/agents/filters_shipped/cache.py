"""The filter that answers calls from a cache, and two places to keep one: memory, and a folder."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Protocol

from perdure.agents.filters import Filter, FilteredCall, Next
from perdure.agents.shipped.objects import spread
from perdure.graph.values import Value
from perdure.protocol.encoding import decode, encode


class ResultCacheBackend(Protocol):
    """Where bytes are kept by key; what is kept may be forgotten. May raise OSError."""

    async def get(self, key: str, /) -> bytes | None:
        """What was put under `key`; None if there is nothing or the entry is damaged."""
        ...

    async def put(self, key: str, data: bytes, /) -> None:
        """Keeps `data`; concurrent calls for one key leave one of them, whole."""
        ...


class MemoryCache:
    """A cache in this process: at most `limit` bytes of data, what was used last stays longest."""

    def __init__(self, limit: int = 64_000_000) -> None:
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    async def get(self, key: str, /) -> bytes | None:
        """What was put under `key`, or None."""
        data = self._kept.get(key)
        if data is not None:
            self._kept.move_to_end(key)
        return data

    async def put(self, key: str, data: bytes, /) -> None:
        """Keeps `data`, and forgets what was not used for longest, above the limit."""
        self.size += len(data) - len(self._kept.pop(key, b""))
        self._kept[key] = data
        while self.size > self.limit:
            _, forgotten = self._kept.popitem(last=False)
            self.size -= len(forgotten)


class FolderCache:
    """A cache that outlives the process: a file per key, written whole or not at all.

    Several processes may share the folder. Nothing is deleted; any file may be, at any time.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    async def get(self, key: str, /) -> bytes | None:
        """What was put under `key`, or None: also for a file whose content is not what was written."""
        return await asyncio.to_thread(self._read, self._path(key))

    async def put(self, key: str, data: bytes, /) -> None:
        """Keeps `data`."""
        await asyncio.to_thread(self._write, self._path(key), data)

    def _path(self, key: str) -> Path:
        name = sha256(key.encode()).hexdigest()  # keys may come from agents: no path may
        return self.folder / name[:2] / name[2:]

    def _read(self, path: Path) -> bytes | None:
        try:
            digest, _, data = path.read_bytes().partition(b"\n")
        except FileNotFoundError:
            return None
        return data if digest == _digest(data) else None

    def _write(self, path: Path, data: bytes) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor, written = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_digest(data) + b"\n" + data)
            os.replace(written, path)
        except BaseException:
            Path(written).unlink(missing_ok=True)
            raise


def _digest(data: bytes) -> bytes:
    return sha256(data).hexdigest().encode()


@dataclass(frozen=True, slots=True)
class ResultCache:
    """Results in a ResultCacheBackend; agents that are not pure get it in ``filter_params["cache"]``."""

    cache: ResultCacheBackend

    def key(self, call: FilteredCall) -> str:
        """SHA-256 of the agent's name, the inputs and the params; and of the context, if it sees that.

        Parts of the context are the config, and the keys and base URLs of the worker: another service, or
        another account, has other answers. The order of members matters: agents show it, in strings and
        in results.
        """
        said: dict[str, Value] = {
            "agent": call.context.agent,
            "inputs": call.inputs,
            "params": dict(call.params),
        }
        if _sees_context(call):
            settings = call.context.settings
            said["config"] = dict(call.context.config)
            said["services"] = [dict(settings.base_urls), dict(settings.keys), settings.wikipedia_url]
        return sha256(_bytes(said)).hexdigest()

    async def get(self, key: str) -> Value:
        """The result that is cached under `key`. Raises KeyError if there is none."""
        data = await self.cache.get(key)
        if data is None:
            raise KeyError(key)
        places, _, text = data.partition(b"\n")
        return decode(text, json.loads(places))

    async def put(self, key: str, value: Value) -> None:
        """Keeps a result."""
        await self.cache.put(key, _bytes(value))


def _bytes(value: Value) -> bytes:
    data, places = encode(value)
    return json.dumps(places).encode() + b"\n" + data


def _sees_context(call: FilteredCall) -> bool:
    return call.agent is None or call.agent.sees_context


def caching(cache: ResultCacheBackend, also: Collection[str] = ()) -> Filter:
    """A filter that calls a pure agent once for the same inputs and params.

    Pure agents that look at their context (the node's id, the filter params) are always called.
    `also` names other agents whose results are kept: models, say, whose answer may be an old one.
    Agents that are neither get the cache in ``filter_params["cache"]``, a ResultCache. Where the
    cache fails, agents are called as if it were empty, and the failure is logged.
    """
    results = ResultCache(cache)

    async def answer_from_cache(call: FilteredCall, next: Next) -> Value:
        pure = call.agent is not None and call.agent.pure
        if call.context.agent not in also and (not pure or _sees_context(call)):
            return await next(call if pure else _with_cache(call, results))
        key = results.key(call)
        try:
            return await results.get(key)
        except KeyError:
            pass
        except OSError as error:
            call.context.log(f"{call.context.path}: the cache cannot be read: {error}")
        result = await next(call)
        try:
            await results.put(key, result)
        except OSError as error:
            call.context.log(f"{call.context.path}: the cache cannot be written: {error}")
        return result

    return answer_from_cache


def _with_cache(call: FilteredCall, results: ResultCache) -> FilteredCall:
    filter_params = {**spread(call.context.filter_params), "cache": results}
    return replace(call, context=replace(call.context, filter_params=filter_params))
