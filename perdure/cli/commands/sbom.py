"""A list of all packages that this installation of Perdure consists of, as CycloneDX JSON.

It has the version and the license of each installed package that Perdure needs, directly or through others,
those of installed extras included. The program that the embedded server is, wherever it comes from, is
listed with its SHA-256. Nothing is asked of a network.

Exit codes: 0 done.
"""

from __future__ import annotations

import argparse
import hashlib
import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from perdure import server
from perdure.cli import output
from perdure.errors import ConnectionFailed

EXAMPLES = """\
examples:
  perdure sbom > perdure.cdx.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments: there are none."""
    del parser


def main(args: argparse.Namespace) -> int:
    """Prints the list."""
    del args
    bill = bill_of("perdure")
    output.result(output.json_text({**bill, "components": [*bill["components"], *server_program()]}))
    return 0


def server_program() -> list[dict[str, Any]]:
    """The program that the embedded server is, with its digest; nothing if it is not installed."""
    try:
        path = server.find().resolve()
    except ConnectionFailed:
        return []
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    hashes = [{"alg": "SHA-256", "content": digest}]
    place = [{"name": "path", "value": str(path)}]
    return [{"type": "application", "name": "temporal", "hashes": hashes, "properties": place}]


def bill_of(name: str) -> dict[str, Any]:
    """The bill of materials of an installed package."""
    root = distribution(name)
    parts = {part.name.lower(): part for part in _needed(root, {root.name: None})}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": _component(root, "application")},
        "components": [_component(parts[key], "library") for key in sorted(parts)],
    }


def _component(part: Distribution, kind: str) -> dict[str, Any]:
    name = re.sub(r"[-_.]+", "-", part.name).lower()
    license_ = part.metadata.json.get("license_expression")
    component: dict[str, Any] = {
        "type": kind,
        "name": part.name,
        "version": part.version,
        "purl": f"pkg:pypi/{name}@{part.version}",
    }
    return component if not license_ else {**component, "licenses": [{"expression": license_}]}


def _needed(part: Distribution, seen: dict[str, None]) -> Iterator[Distribution]:
    """The installed packages that a package names, with those that they name, each once."""
    for line in part.requires or ():
        name = re.split(r"[\s;<>=!~\[(]", line, maxsplit=1)[0]
        key = re.sub(r"[-_.]+", "-", name).lower()
        if key in seen or "extra == 'dev'" in line or 'extra == "dev"' in line:
            continue
        try:
            other = distribution(name)
        except PackageNotFoundError:  # of an extra, or of another platform
            continue
        seen[key] = None
        yield other
        yield from _needed(other, seen)
