"""Settings: what the environment says. No other module reads it.

Temporal's own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, profiles) are read by the SDK's
envconfig, in perdure.client.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from perdure.errors import UsageError
from perdure.settings.parsers import (
    channels,
    count,
    days,
    deployment_name,
    folder,
    host_name,
    is_on,
    labels,
    page_url,
    port,
    seconds,
    signing_secret,
    smtp_url,
    string,
    synchronous,
    words,
)

MAX_RETENTION_DAYS = 36_500
"""A hundred years: as much as the durations of the embedded server hold."""


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "perdure"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set from outside; VARIABLES says what each field means.

    Without a `store`, the embedded server has one in `home`, and other servers have none. `keys` maps a
    provider ("openai", "anthropic", "gemini", "groq") to its API key, `base_urls` to its base URL. `notify`
    maps channels for notices of questions to their addresses. With a `deployment` and a `build_id`, runs
    stay with the build that began them.
    """

    home: Path = field(default_factory=_default_home)
    file_root: Path = field(default_factory=Path.cwd)
    file_writes: bool = False
    allow_hosts: tuple[str, ...] = ()
    queue: str = "perdure"
    queues: tuple[str, ...] = ()
    policy: Path | None = None
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


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of the environment: the field of Settings that it sets, and how its text is read.

    `parse` takes the name and the text, and raises UsageError. `default` and `help` are for people, in
    Markdown. A variable of a provider sets one entry of a mapping; `key` is then the provider.
    """

    name: str
    field: str
    parse: Callable[[str, str], Any]
    default: str
    help: str
    key: str = ""


def _own(name: str, parse: Callable[[str, str], Any], default: str, what: str) -> Variable:
    return Variable(name, name.removeprefix("PERDURE_").lower(), parse, default, what)


_PROVIDERS: Final = {
    "openai": "of OpenAI, or of a service with its API",
    "anthropic": "of Anthropic",
    "gemini": "of Gemini",
    "groq": "of Groq",
}

# A table: the formatter would give each cell a line.
# fmt: off
VARIABLES: Final = (
    _own("PERDURE_QUEUE", string, "`perdure`", "the task queue of runs and workers that name none"),
    _own("PERDURE_QUEUES", words, "none",
         "task queues that nodes may name, in addition to the run's and its agents' own; `*` for any, `@*` "
         "for those of all hosts"),
    _own("PERDURE_POLICY", folder, "none",
         "the policy file of a worker: which agents, task queues, hosts and files its runs may use"),
    _own("PERDURE_HOME", folder, "`$XDG_DATA_HOME/perdure`",
         "folder of the embedded server's database, the local models and their state"),
    _own("PERDURE_FILE_ROOT", folder, "the graph's folder for `perdure run`, else the working folder",
         "the only folder that file agents may touch"),
    _own("PERDURE_FILE_WRITES", is_on, "`0`", "`1` lets file agents write there"),
    _own("PERDURE_ALLOW_HOSTS", words, "none",
         "hosts that graphs may reach although they are not public, such as `localhost:8080 10.0.0.7`"),
    _own("PERDURE_LOCAL_ACTIVITIES", is_on, "`1`",
         "`0` gives every agent an activity of its own on a task queue"),
    _own("PERDURE_LOCAL_MODEL", string, "`smollm2`",
         "the local model that is used where no provider is configured; `off` uses none"),
    _own("PERDURE_CONCURRENCY", lambda name, text: count(name, text, 1, "calls", 100), "`100`",
         "calls of agents that a worker makes at a time, on each of its queues"),
    _own("PERDURE_HOST", host_name, "none",
         "the name of a worker's host, which gets the task queue `@NAME`; `--host` of a worker"),
    _own("PERDURE_LABELS", labels, "none", "labels of that host, by which `membersAgent` finds it"),
    _own("PERDURE_GRACE", seconds, "`10`", "seconds that agents have to finish when a worker stops"),
    _own("PERDURE_CALL_LIMIT", seconds, "`86400`",
         "seconds for one attempt of a call whose node has no `timeout`"),
    _own("PERDURE_TRANSIENT_ATTEMPTS", lambda name, text: count(name, text, 1, "attempts", 100), "`100`",
         "attempts of a call that may fail for now, as when a service is down, before its node fails"),
    _own("PERDURE_LOST_ATTEMPTS", lambda name, text: count(name, text, 1, "attempts", 3), "`3`",
         "attempts of a call that may be lost with their worker before its node fails"),
    _own("PERDURE_BLOCKED_ATTEMPTS", lambda name, text: count(name, text, 1, "attempts", 3), "`3`",
         "attempts of a call that may be lost because its agent blocks the event loop"),
    _own("PERDURE_AGENT_WAIT", seconds, "`60`",
         "seconds for which a call waits for a worker with its agent while workers lack it"),
    _own("PERDURE_DEPLOYMENT", deployment_name, "none",
         "the deployment that a worker belongs to; with the next one, runs stay with their build"),
    _own("PERDURE_BUILD_ID", string, "none", "the build of that deployment"),
    _own("PERDURE_HEALTH_PORT", port, "none", "the port on which a worker reports its health"),
    _own("PERDURE_HEALTH_HOST", string, "`127.0.0.1`",
         "the address for it; `0.0.0.0` for checks from other hosts"),
    _own("PERDURE_SERVER_IDLE", seconds, "`600`",
         "seconds without a command after which the embedded server stops"),
    _own("PERDURE_SERVER_RETENTION", lambda name, text: days(name, text, MAX_RETENTION_DAYS, 90), "`90`",
         "days for which the embedded server keeps runs that have ended"),
    _own("PERDURE_SERVER_MEMORY", lambda name, text: count(name, text, 50, "MB", 200), "`200`",
         "MB that the embedded server aims to keep its memory at"),
    _own("PERDURE_SQLITE_SYNCHRONOUS", synchronous, "`FULL`",
         "`NORMAL` makes the embedded server faster and lets a power cut take the last steps"),
    _own("PERDURE_STORE", string, "`store` in `PERDURE_HOME` with the embedded server, else none",
         "the store for large values: a folder, or `s3://`, `gs://`, `az://`"),
    _own("PERDURE_STORE_ABOVE", lambda name, text: count(name, text, 1024, "bytes", 65536, 1500000),
         "`65536`",
         "bytes above which a value goes there, from 1024 to 1500000"),
    _own("PERDURE_STORE_RETENTION", days, "`7`",
         "days for which `perdure store gc` keeps what no run refers to"),
    _own("PERDURE_MODELS", string, "`models` in `PERDURE_HOME`",
         "where pipelines publish models: a folder, or `s3://`, `gs://`, `az://`"),
    _own("PERDURE_WIKIPEDIA_URL", string, "Wikipedia's API",
         "address of the Wikipedia agent; `{lang}` is replaced, and a host with it must be public"),
    _own("PERDURE_UI_URL", page_url, "none",
         "where people open the page of `perdure ui`, for links in notices and in the Temporal UI"),
    _own("PERDURE_PRICES", string, "none",
         "a TOML file with what a million tokens of each model cost"),
    _own("PERDURE_NOTIFY", channels, "none",
         "channels for notices of questions, such as `default=https://hooks.example.org/x "
         "leads=mailto:leads@example.org`"),
    _own("PERDURE_NOTIFY_SECRET", signing_secret, "none",
         "the key that signs notices to webhooks: `whsec_` and Base64"),
    _own("PERDURE_SMTP", smtp_url, "none",
         "the server that sends notices by e-mail, such as `smtp://user:password@mail.example.org:587`"),
    _own("PERDURE_SMTP_FROM", string, "none", "the sender of this e-mail"),
    *(
        Variable(f"{name.upper()}_{end}", field_name, string, "none", f"{what} {of}", key=name)
        for name, of in _PROVIDERS.items()
        for end, field_name, what in (("API_KEY", "keys", "key"), ("BASE_URL", "base_urls", "address"))
    ),
)
# fmt: on
"""All that Perdure reads of the environment into Settings; where an order shows, it is this one."""


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
