"""What a policy says of calls that it refuses: whether people may approve them, and who. Pure.

An approval holds for one call: its agent, its place in the run, its inputs and params, the graph in it and
the labels of its data. It lifts what the run would refuse; hosts, folders and secrets stay the profile's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from perdure.policy.reader import Reader, inside, quoted

ASK: Final = "ask"
"""As `violation` of a profile: a person decides on what it refuses."""

REFUSE: Final = "refuse"

APPROVER_KEYS: Final = ("who", "quorum", "expires", "notify")
MAX_APPROVER_COUNT: Final = 100
DEFAULT_EXPIRY_MS: Final = 24 * 3600 * 1000.0
"""How long a question waits for its answer, in milliseconds."""

_DURATION: Final = re.compile(r"(\d{1,6})([smhd])")
_UNIT_MS: Final[Mapping[str, int]] = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvers:
    """Who decides: any of `who`, anybody if that is empty.

    `quorum` of them have to agree within `expires_ms`. `notify` are channels of the worker, without any the
    default one. An approved call `keeps_time`: its `@now` is that of the question, except in runs of an
    earlier version.
    """

    who: tuple[str, ...] = ()
    quorum: int = 1
    expires_ms: float = DEFAULT_EXPIRY_MS
    notify: tuple[str, ...] = ()
    keeps_time: bool = True

    def written(self) -> dict[str, Any]:
        """The same as plain data."""
        return {
            "who": list(self.who),
            "quorum": self.quorum,
            "expires": self.expires_ms,
            "notify": list(self.notify),
            "keepsTime": self.keeps_time,
        }

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Approvers:
        """What `written` wrote."""
        who, notify = tuple(data["who"]), tuple(data["notify"])
        return cls(
            who=who,
            quorum=int(data["quorum"]),
            expires_ms=data["expires"],
            notify=notify,
            keeps_time=data.get("keepsTime") is True,
        )


def read_approvers(reader: Reader, data: Any) -> Approvers:
    """The `approvers` of a policy; `reader` notes what is wrong."""
    data = reader.mapping("approvers", data, APPROVER_KEYS, "write approvers: {who: [lead], expires: 24h}")
    who = reader.names("approvers.who", data.get("who", []), "people")
    notify = reader.names("approvers.notify", data.get("notify", []), "channels")
    quorum = data.get("quorum", 1)
    most = len(who) or MAX_APPROVER_COUNT
    if isinstance(quorum, bool) or not isinstance(quorum, int) or not 1 <= quorum <= most:
        reader.wrong("approvers.quorum", f"a quorum is a number from 1 to {most}", "write quorum: 2")
        quorum = 1
    return Approvers(
        who=tuple(sorted(who)),
        quorum=quorum,
        expires_ms=_expiry_ms(reader, data.get("expires")),
        notify=tuple(sorted(notify)),
    )


def _expiry_ms(reader: Reader, text: Any) -> float:
    if text is None:
        return DEFAULT_EXPIRY_MS
    parts = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if parts is None or not int(parts[1]):
        reader.wrong("approvers.expires", f"{quoted(text)} is not a time", "write 30m, 24h or 7d")
        return DEFAULT_EXPIRY_MS
    return float(int(parts[1]) * _UNIT_MS[parts[2]])


def asks_on_violation(reader: Reader, place: str, word: Any) -> bool:
    """Whether a profile says `violation: ask`; `reader` notes another word."""
    if word not in (ASK, REFUSE):
        reader.wrong(
            inside(place, "violation"), f"{quoted(word)} is not what can happen", "write ask or refuse"
        )
    return word == ASK
