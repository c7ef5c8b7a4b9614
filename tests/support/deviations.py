"""Where references and YAML are read in another way than GraphAI's; the reasons are in docs/language.md."""

from __future__ import annotations

from typing import Any

from perdure.graph.values import UNDEFINED

PROTOTYPE = "no prototype members: only data is reachable"
UNKNOWN = "a node that does not exist is refused before the run; where it is met, it is undefined"
ONE_PASS = "one pass: inserted text is not scanned for $ patterns"
INDEX_BUG = "a reference behind ${@util} takes its own value, not that of a later one"

OF_REFERENCES: dict[str, tuple[str, Any]] = {
    ":obj.__proto__": (PROTOTYPE, UNDEFINED),
    ":objEmpty.toString": (PROTOTYPE, UNDEFINED),
    ":objEmpty.constructor": (PROTOTYPE, UNDEFINED),
    ":objEmpty.hasOwnProperty": (PROTOTYPE, UNDEFINED),
    ":obj.hasOwnProperty": (PROTOTYPE, UNDEFINED),
    ":objNulls.toString": (PROTOTYPE, UNDEFINED),
    ":objNulls.constructor": (PROTOTYPE, UNDEFINED),
    ":objNulls.hasOwnProperty": (PROTOTYPE, UNDEFINED),
    "::obj": (UNKNOWN, UNDEFINED),
    ":obj a": (UNKNOWN, UNDEFINED),
    "${:dollar}": (ONE_PASS, "x$$y$&z$'w$`v$1"),
    "${@loop} ${:s}": (INDEX_BUG, "3 S"),
    "${@loop} ${:s} ${:numInt}": (INDEX_BUG, "3 S 12"),
    "${:s} ${@loop} ${:numInt}": (INDEX_BUG, "S 3 12"),
    "${@unknown} ${:s}": (INDEX_BUG, " S"),
}

OF_YAML = {  # name of a recorded case -> the code of the refusal; the reasons are in docs/language.md
    "quirk/floats": "not-json-value",  # .inf, .nan and 1e400: a graph travels as JSON, which has none of them
    "quirk/directive": "directive",  # %YAML 1.1 would change what `yes` and 010 mean
    "quirk/complex_key": "key-not-text",  # nearly always `{{name}}` that lacks its quotes
}
