"""Settings: what the environment says. No other module reads it.

Temporal's own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, profiles) are read by the SDK's
envconfig, in perdure.client.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from perdure.errors import UsageError
from perdure.settings.data_egress import DataEgress
from perdure.settings.variables import VARIABLES


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "perdure"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set from outside; VARIABLES says what each field means.

    Without a `store`, the embedded server has one in `home`, and other servers have none. `keys` maps a
    provider ("openai", "anthropic", "gemini", "groq") to its API key, `base_urls` to its base URL. `notify`
    maps channels for notices of questions to their addresses, `data` names of local data to their places.
    With a `deployment` and a `build_id`, runs stay with the build that began them.
    """

    home: Path = field(default_factory=_default_home)
    file_root: Path = field(default_factory=Path.cwd)
    file_writes: bool = False
    data: Mapping[str, Path] = field(default_factory=dict[str, Path])
    data_egress: DataEgress = field(default_factory=DataEgress)
    allow_hosts: tuple[str, ...] = ()
    queue: str = "perdure"
    queues: tuple[str, ...] = ()
    policy: Path | None = None
    trust_graphs: bool = False
    codec: str = ""
    codec_keys: str = ""
    insecure: bool = False
    local_activities: bool = True
    local_model: str = "smollm2"
    server_idle: float = 600.0
    server_retention: float = 90.0
    server_memory: int = 200
    host: str = ""
    labels: tuple[str, ...] = ()
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    concurrency: int = 100
    grace: float = 10.0
    call_limit: float = 86_400.0
    transient_attempts: int = 100
    lost_attempts: int = 3
    blocked_attempts: int = 3
    agent_wait: float = 60.0
    deployment: str = ""
    build_id: str = ""
    sqlite_synchronous: str = "FULL"
    store: str | None = None
    store_above: int = 65_536
    store_retention: float = 7.0
    models: str = ""
    outbox_bytes: int = 100_000_000
    outbox_full: str = "wait"
    wikipedia_url: str = "https://{lang}.wikipedia.org/w/api.php"
    ui_url: str = ""
    prices: str = ""
    notify: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    notify_secret: str = field(default="", repr=False)
    smtp: str = field(default="", repr=False)
    smtp_from: str = ""
    keys: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    base_urls: Mapping[str, str] = field(default_factory=dict[str, str])

    def store_url(self, *, embedded: bool) -> str | None:
        """Where large values go, if anywhere. `embedded` says whether the server is the embedded one."""
        return self.store or (str(self.home / "store") if embedded else None)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings that `environ` (default: the process environment) asks for."""
        values, wrong = _read(os.environ if environ is None else environ)
        if wrong:
            raise wrong[0]
        return cls(**values)


def lenient() -> tuple[Settings, list[UsageError]]:
    """The settings without the variables that cannot be read, and what is wrong with those."""
    values, wrong = _read(os.environ)
    return Settings(**values), wrong


def names(prefix: str) -> tuple[str, ...]:
    """The variables of the environment that begin with `prefix`; not what they hold."""
    return tuple(sorted(name for name in os.environ if name.startswith(prefix)))


def known_names() -> frozenset[str]:
    """The variables that `Settings.from_env` reads."""
    return frozenset(variable.name for variable in VARIABLES)


def temporal_may_be_configured() -> bool:
    """Whether Temporal's variables or its file of profiles may name a server; False is certain.

    The SDK, which reads them, takes a while to load: this decides beforehand whether to load it.
    """
    if names("TEMPORAL_"):
        return True
    # The SDK looks in the folder for configuration that the system has.
    places = [os.environ.get("XDG_CONFIG_HOME"), "~/.config", "~/Library/Application Support"]
    return any(Path(place, "temporalio").expanduser().exists() for place in places if place)


def tiktoken_folder(default: Path) -> Path:
    """The folder where tiktoken looks for its data: TIKTOKEN_CACHE_DIR, which becomes `default` if unset.

    tiktoken takes the folder from the environment only, and without one it downloads.
    """
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or str(default)
    os.environ["TIKTOKEN_CACHE_DIR"] = folder
    return Path(folder)


_CONTROLLER_NAMES: Final = {
    "PERDURE_DEPLOYMENT": "TEMPORAL_DEPLOYMENT_NAME",
    "PERDURE_BUILD_ID": "TEMPORAL_WORKER_BUILD_ID",
}
"""What Temporal's Worker Controller sets for the workers that it starts, unless PERDURE_* sets one."""


def _name_in(env: Mapping[str, str], name: str) -> str:
    """The variable of `env` that sets what `name` sets."""
    if name not in _CONTROLLER_NAMES or any(env.get(own) for own in _CONTROLLER_NAMES):
        return name
    return _CONTROLLER_NAMES[name]


def _read(env: Mapping[str, str]) -> tuple[dict[str, Any], list[UsageError]]:
    """The fields that `env` sets, and what is wrong with the variables that cannot be read."""
    values: dict[str, Any] = {}
    wrong: list[UsageError] = []
    for variable in VARIABLES:
        name = _name_in(env, variable.name)
        if text := env.get(name):
            try:
                value = variable.parse(name, text)
            except UsageError as error:
                wrong.append(error)
                continue
            if variable.key:
                values.setdefault(variable.field, {})[variable.key] = value
            else:
                values[variable.field] = value
    return values, wrong + _unpaired(env, values)


def _unpaired(env: Mapping[str, str], values: dict[str, Any]) -> list[UsageError]:
    """Takes a deployment without a build, or a build without a deployment, out of `values`."""
    pair = [_name_in(env, name) for name in _CONTROLLER_NAMES]
    set_names = [name for name in pair if env.get(name)]
    if len(set_names) == len(pair) and "deployment" in values:
        return []
    values.pop("deployment", None)
    values.pop("build_id", None)
    if len(set_names) != 1:
        return []
    other = pair[1 - pair.index(set_names[0])]
    finding = f"{set_names[0]}: is of no use without {other}"
    return [UsageError(finding, hint="set both or none", variable=set_names[0])]
