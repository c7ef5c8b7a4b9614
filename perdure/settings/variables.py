"""The variables of the environment that Perdure reads: which field of Settings each sets, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from perdure.settings.data_egress import data_egress
from perdure.settings.parsers import (
    channels,
    codec_mode,
    count,
    days,
    deployment_name,
    folder,
    host_name,
    is_on,
    key_source,
    labels,
    local_data,
    outbox_full,
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
         "the policy file of a worker: which agents, task queues, hosts, files and secrets its runs may use"),
    _own("PERDURE_TRUST_GRAPHS", is_on, "`0`",
         "without a policy: `1` lets graphs send private data anywhere, and lets data name any agent"),
    _own("PERDURE_CODEC", codec_mode, "`mac` with the embedded server, else `off`",
         "how payloads are written: `mac` signs them, `aead` encrypts them, `off` leaves them as they are"),
    _own("PERDURE_CODEC_KEYS", key_source, "`payload.keys` in `PERDURE_HOME`",
         "the keys for it: `file:/PATH`, which only its owner may read, or `env:NAME`"),
    _own("PERDURE_INSECURE", is_on, "`0`",
         "`1` allows a connection without TLS to a Temporal server, or a hub, on another host"),
    _own("PERDURE_HOME", folder, "`$XDG_DATA_HOME/perdure`",
         "folder of the embedded server's database, the local models and their state"),
    _own("PERDURE_FILE_ROOT", folder, "the graph's folder for `perdure run`, else the working folder",
         "the only folder that file agents may touch"),
    _own("PERDURE_FILE_WRITES", is_on, "`0`", "`1` lets file agents write there"),
    _own("PERDURE_DATA", local_data, "none",
         "data of a worker that agents open by name, such as `machines=/srv/machines`; `--data` of `perdure "
         "worker` and `run`"),
    _own("PERDURE_DATA_EGRESS", data_egress, "`metrics tensors`",
         "what calls that have opened such data may give back: `metrics`, `tensors`, `text`, `rows`, and "
         "limits such as `bytes=1000000 values=50 rows=20`"),
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
    _own("PERDURE_OUTBOX_BYTES", lambda name, text: count(name, text, 100_000, "bytes", 100_000_000),
         "`100000000`", "bytes of events that wait on a device for its hub"),
    _own("PERDURE_OUTBOX_FULL", outbox_full, "`wait`",
         "what happens beyond that: `wait` lets nodes wait for room, `oldest` drops the events that have "
         "waited longest, `newest` the new ones"),
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
