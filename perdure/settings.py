"""Settings: what the environment says. No other module reads it.

Temporal's own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, profiles) are read by the SDK's
envconfig, in perdure.client.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perdure.errors import UsageError

MAX_RETENTION_DAYS = 36_500
"""A hundred years: as much as the durations of the embedded server hold."""


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "perdure"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set from outside, with the defaults that need no thought.

    `home` holds the embedded server's database, the local models and the state of both.
    `file_root` is the only folder that file agents may touch, `file_writes` whether they may write.
    `allow_hosts` names the hosts that graphs may reach although they are not public: "localhost:8080",
    or "10.0.0.7" for every port of it. `keys` maps a provider ("openai", "anthropic", "gemini", "groq")
    to its API key, `base_urls` to its base URL. The embedded server stops after `server_idle` seconds
    without a command that uses it; `sqlite_synchronous` is "FULL" (survives a power cut) or "NORMAL". It
    keeps runs that have ended for `server_retention` days, and aims at `server_memory` MB of memory.
    A worker tells its health over HTTP at `health_host` and `health_port`, where there is one. Told to
    stop, it lets agents go on for `grace` seconds. One attempt of a call whose node has no `timeout` may
    take `call_limit` seconds. It makes up to `concurrency` calls at a time on each of its queues. With a
    `deployment` and a `build_id`, runs stay with the build that began them.

    Values larger than `store_above` bytes are kept in the object store at `store`, a folder or a URL, and
    passed on by reference; None is a folder in `home` beside the embedded server, and nowhere elsewhere.
    `store_retention` is the number of days after which what no run refers to may be removed from it.
    """

    home: Path = field(default_factory=_default_home)
    file_root: Path = field(default_factory=Path.cwd)
    file_writes: bool = False
    allow_hosts: tuple[str, ...] = ()
    queue: str = "perdure"
    local_activities: bool = True
    local_model: str = "smollm2"
    server_idle: float = 600.0
    server_retention: float = 90.0
    server_memory: int = 200
    health_host: str = "127.0.0.1"
    health_port: int | None = None
    concurrency: int = 100
    grace: float = 10.0
    call_limit: float = 86_400.0
    deployment: str = ""
    build_id: str = ""
    sqlite_synchronous: str = "FULL"
    store: str | None = None
    store_above: int = 65_536
    store_retention: float = 7.0
    wikipedia_url: str = "https://{lang}.wikipedia.org/w/api.php"
    keys: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    base_urls: Mapping[str, str] = field(default_factory=dict[str, str])

    def store_url(self, *, embedded: bool) -> str | None:
        """Where large values go, if anywhere. `embedded` tells that the server is the embedded one."""
        return self.store or (str(self.home / "store") if embedded else None)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """The settings that `environ` (default: the process environment) asks for."""
        env = os.environ if environ is None else environ
        given: dict[str, object] = {}
        if env.get("PERDURE_HOME"):
            given["home"] = Path(env["PERDURE_HOME"])
        if env.get("PERDURE_FILE_ROOT"):
            given["file_root"] = Path(env["PERDURE_FILE_ROOT"])
        if env.get("PERDURE_QUEUE"):
            given["queue"] = env["PERDURE_QUEUE"]
        if env.get("PERDURE_LOCAL_ACTIVITIES"):
            given["local_activities"] = env["PERDURE_LOCAL_ACTIVITIES"].lower() not in ("0", "false", "no")
        if env.get("PERDURE_FILE_WRITES"):
            given["file_writes"] = env["PERDURE_FILE_WRITES"].lower() not in ("0", "false", "no")
        if env.get("PERDURE_ALLOW_HOSTS"):
            given["allow_hosts"] = tuple(env["PERDURE_ALLOW_HOSTS"].replace(",", " ").split())
        if env.get("PERDURE_LOCAL_MODEL"):
            given["local_model"] = env["PERDURE_LOCAL_MODEL"]
        if env.get("PERDURE_WIKIPEDIA_URL"):
            given["wikipedia_url"] = env["PERDURE_WIKIPEDIA_URL"]
        given |= _of_server(env) | _of_health(env) | _of_worker(env) | _of_store(env)
        given["keys"] = _of_providers(env, "_API_KEY")
        given["base_urls"] = _of_providers(env, "_BASE_URL")
        return cls(**given)  # type: ignore[arg-type] -- each key is a field of its own type


def lenient() -> tuple[Settings, list[str]]:
    """The settings without the variables that cannot be read, and what is wrong with those."""
    env, wrong = dict(os.environ), list[str]()
    while True:
        try:
            return Settings.from_env(env), wrong
        except UsageError as error:
            wrong.append(str(error))
            del env[wrong[-1].partition(":")[0]]  # every such message begins with the variable


def names(prefix: str) -> tuple[str, ...]:
    """The variables of the environment that begin with `prefix`; not what they hold."""
    return tuple(sorted(name for name in os.environ if name.startswith(prefix)))


def known_names() -> frozenset[str]:
    """The variables that `Settings.from_env` reads."""
    asked: set[str] = set()

    class Asked(dict[str, str]):
        def get(self, key: str, default: Any = None, /) -> Any:
            asked.add(key)
            return default

    Settings.from_env(Asked())
    return frozenset(asked)


def temporal_may_be_configured() -> bool:
    """Whether Temporal's variables or its file of profiles may name a server; False is certain.

    The SDK, which reads them, takes a while to load: this tells beforehand whether to wait for it.
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


PROVIDERS = ("openai", "anthropic", "gemini", "groq")


def _of_providers(env: Mapping[str, str], suffix: str) -> dict[str, str]:
    return {name: env[name.upper() + suffix] for name in PROVIDERS if env.get(name.upper() + suffix)}


def _of_server(env: Mapping[str, str]) -> dict[str, object]:
    given: dict[str, object] = {}
    if env.get("PERDURE_SERVER_IDLE"):
        given["server_idle"] = _seconds("PERDURE_SERVER_IDLE", env["PERDURE_SERVER_IDLE"])
    if env.get("PERDURE_SQLITE_SYNCHRONOUS"):
        given["sqlite_synchronous"] = _synchronous(env["PERDURE_SQLITE_SYNCHRONOUS"])
    if env.get("PERDURE_SERVER_RETENTION"):
        given["server_retention"] = _retention_days(env["PERDURE_SERVER_RETENTION"])
    if env.get("PERDURE_SERVER_MEMORY"):
        given["server_memory"] = count("PERDURE_SERVER_MEMORY", env["PERDURE_SERVER_MEMORY"], 50, "MB", 200)
    return given


def _of_health(env: Mapping[str, str]) -> dict[str, object]:
    given: dict[str, object] = {}
    if env.get("PERDURE_HEALTH_HOST"):
        given["health_host"] = env["PERDURE_HEALTH_HOST"]
    port = env.get("PERDURE_HEALTH_PORT")
    if port:
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(f"PERDURE_HEALTH_PORT: {port!r} is no port; set it to 8081, say")
        given["health_port"] = int(port)
    return given


def _of_worker(env: Mapping[str, str]) -> dict[str, object]:
    given: dict[str, object] = {}
    if env.get("PERDURE_CONCURRENCY"):
        given["concurrency"] = count("PERDURE_CONCURRENCY", env["PERDURE_CONCURRENCY"], 1, "calls", 100)
    if env.get("PERDURE_GRACE"):
        given["grace"] = _seconds("PERDURE_GRACE", env["PERDURE_GRACE"])
    if env.get("PERDURE_CALL_LIMIT"):
        given["call_limit"] = _seconds("PERDURE_CALL_LIMIT", env["PERDURE_CALL_LIMIT"])
    deployment, build = env.get("PERDURE_DEPLOYMENT"), env.get("PERDURE_BUILD_ID")
    if deployment and not build:
        raise UsageError("PERDURE_DEPLOYMENT: is of no use without PERDURE_BUILD_ID; set both or none")
    if build and not deployment:
        raise UsageError("PERDURE_BUILD_ID: is of no use without PERDURE_DEPLOYMENT; set both or none")
    if deployment and build:
        if set(".:") & set(deployment):
            raise UsageError(f"PERDURE_DEPLOYMENT: {deployment!r} has a dot or a colon; leave it out")
        given |= {"deployment": deployment, "build_id": build}
    return given


def _of_store(env: Mapping[str, str]) -> dict[str, object]:
    given: dict[str, object] = {}
    if env.get("PERDURE_STORE"):
        given["store"] = env["PERDURE_STORE"]
    above = env.get("PERDURE_STORE_ABOVE")
    if above:
        if not above.isdecimal() or not 1024 <= int(above) <= 1_500_000:
            raise UsageError(
                f"PERDURE_STORE_ABOVE: {above!r} is no number of bytes from 1024 to 1500000; "
                "set it to 65536, say"
            )
        given["store_above"] = int(above)
    if env.get("PERDURE_STORE_RETENTION"):
        given["store_retention"] = retention("PERDURE_STORE_RETENTION", env["PERDURE_STORE_RETENTION"])
    return given


def retention(name: str, text: str) -> float:
    """The days that `text`, given as `name`, says objects are kept. Raises UsageError below an hour."""
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 1 / 24 <= days < float("inf"):
        raise UsageError(
            f"{name}: {text!r} is no number of days of at least an hour (0.042): what was put just now may "
            "not be in any history yet; set it to 7, say"
        )
    return days


def count(name: str, text: str, least: int, unit: str, example: int) -> int:
    """The number that `text`, given as `name`, stands for. Raises UsageError for one below `least`."""
    if not text.isdecimal() or int(text) < least:
        raise UsageError(
            f"{name}: {text!r} is not a number of {unit} from {least} up; set it to {example}, say"
        )
    return int(text)


def _retention_days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 1 / 24 <= days <= MAX_RETENTION_DAYS:
        raise UsageError(
            f"PERDURE_SERVER_RETENTION: {text!r} is not a number of days from 0.042 (an hour) to "
            f"{MAX_RETENTION_DAYS}; set it to 90, say"
        )
    return days


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{name}: {text!r} is not a number of seconds above 0; set it to 600, say")
    return seconds


def _synchronous(text: str) -> str:
    if text.upper() not in ("FULL", "NORMAL"):
        raise UsageError(
            f"PERDURE_SQLITE_SYNCHRONOUS: {text!r} is neither FULL nor NORMAL; leave it out for FULL"
        )
    return text.upper()
