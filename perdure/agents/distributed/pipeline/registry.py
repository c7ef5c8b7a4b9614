"""Where published models are: a folder or a bucket, which people and other programs read as well.

    MODEL/versions/VERSION/model.safetensors    the weights
    MODEL/versions/VERSION/model.json           what belongs to them
    MODEL/aliases/ALIAS/00000001.json           {version, run, key, lineage}: what the alias named, in turn

Why
    Two runs that judge their models against the same one must not both replace it: the second has to judge
    again.

Invariants
    Nothing is ever changed. The last entry of an alias is in force, and an entry is written only where none
    is. So of two that follow on the same one, the store admits one, and who published what, when and in
    place of what stays to be seen.
    A version is named after its content. Another attempt of a call finds its own entry by its key.

Rejected
    One file for an alias, replaced under a condition: folders do not have that, and history would be lost.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, cast

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, from_url

from perdure.agents.distributed.maths.tensors import Tensors
from perdure.agents.distributed.values import tensors_of
from perdure.errors import FinalError, StoreUnavailable, UsageError
from perdure.protocol.numpy_arrays import from_python, with_arrays
from perdure.protocol.tensor_file import read_tensors, write_tensors
from perdure.settings import Settings
from perdure.storage import URL_HINT
from perdure.storage.remote import CLIENT, RETRY

VERSION_DIGIT_COUNT: Final = 16
"""Digits of the SHA-256 of a model that name its version."""

_ENTRY_DIGIT_COUNT: Final = 8
_list: Final[Any] = cast(Any, obstore).list  # its overloads want to know the kind of the store
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What an alias named at one time: `number` counts from 1."""

    number: int
    version: str
    key: str
    lineage: Any


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of one worker, at `PERDURE_MODELS`."""

    store: Any

    @classmethod
    def of(cls, settings: Settings) -> Registry:
        """Raises UsageError for an address that is not one."""
        place = settings.models or str(settings.home / "models")
        try:
            if "://" not in place:
                folder = Path(place).expanduser().absolute()
                return cls(LocalStore(folder, mkdir=True))
            make: Any = from_url  # its overloads want to know the kind of the store
            remote = {} if place.startswith("file:") else {"client_options": CLIENT, "retry_config": RETRY}
            return cls(make(place, **remote))
        except (BaseError, ValueError) as error:
            raise UsageError(
                f"PERDURE_MODELS={place}: {str(error).splitlines()[0]}",
                hint=URL_HINT,
                variable="PERDURE_MODELS",
            ) from None

    async def add(self, model: str, weights: Tensors, about: Mapping[str, Any]) -> str:
        """Keeps a version of a model, and gives its name: the same for the same content."""
        file = write_tensors({name: from_python(array) for name, array in weights.items()}, {})
        text = json.dumps(about, sort_keys=True, indent=2, ensure_ascii=False).encode()
        version = sha256(file + text).hexdigest()[:VERSION_DIGIT_COUNT]
        folder = f"{_named(model)}/versions/{version}"
        await self._create(f"{folder}/model.safetensors", file)
        await self._create(f"{folder}/model.json", text)
        return version

    async def read(self, model: str, version: str) -> tuple[Tensors, dict[str, Any]]:
        """The weights of a version, and what belongs to them. Raises FinalError if there is none."""
        folder = f"{_named(model)}/versions/{_named(version)}"
        file = await self._get(f"{folder}/model.safetensors")
        text = await self._get(f"{folder}/model.json")
        if file is None or text is None:
            raise FinalError(f"the model {model!r} has no version {version!r}")
        return tensors_of(with_arrays(read_tensors(file)[0]), f"model {model!r}"), json.loads(text)

    async def current(self, model: str, alias: str) -> Entry | None:
        """What the alias names now; None before it was first published."""
        listed = await self._entries(model, alias)
        return await self._entry(max(listed)) if listed else None

    async def own(self, model: str, alias: str, key: str) -> Entry | None:
        """What an earlier attempt of the call with this key wrote, if it came as far as that."""
        for name in sorted(await self._entries(model, alias), reverse=True):
            if (entry := await self._entry(name)).key == key:
                return entry
        return None

    async def _entries(self, model: str, alias: str) -> list[str]:
        folder = f"{_named(model)}/aliases/{_named(alias)}"
        try:
            listed = _list(self.store, folder)
            return [info["path"] async for infos in listed for info in infos]
        except BaseError as error:
            raise _unavailable(error) from None

    async def _entry(self, name: str) -> Entry:
        written = json.loads(await self._get(name) or b"{}")
        number = int(name.rpartition("/")[2].removesuffix(".json"))
        return Entry(number=number, **{name: written[name] for name in ("version", "key", "lineage")})

    async def point(self, model: str, alias: str, after: Entry | None, about: Mapping[str, Any]) -> bool:
        """Lets the alias name another version, unless it names something else than `after` by now."""
        number = 1 + (after.number if after else 0)
        name = f"{_named(model)}/aliases/{_named(alias)}/{number:0{_ENTRY_DIGIT_COUNT}}.json"
        return await self._create(name, json.dumps(about, sort_keys=True).encode())

    async def _create(self, name: str, data: bytes) -> bool:
        try:
            await obstore.put_async(self.store, name, data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except BaseError as error:
            raise _unavailable(error) from None
        return True

    async def _get(self, name: str) -> bytes | None:
        try:
            got = await obstore.get_async(self.store, name)
            return bytes(await got.bytes_async())
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise _unavailable(error) from None


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise FinalError(
            f"{name[:80]!r} is not a name of a model, version or alias",
            hint="use up to 64 letters, digits, '-', '_' and '.', with a letter or digit first",
        )
    return name


def _unavailable(error: BaseError) -> StoreUnavailable:
    return StoreUnavailable(f"the store of the models does not answer: {str(error).splitlines()[0]}")
