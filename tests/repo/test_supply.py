"""The lock file and the bill of materials name all that Perdure needs."""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

import pytest

from perdure.cli.commands.sbom import bill_of, server_program
from tests.repo.lock import EXTRAS, LOCK
from tests.support import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LINE = re.compile(r"([a-z0-9.-]+)==\S+ --hash=sha256:[0-9a-f]{64}")


def needed() -> set[str]:
    """The names that pyproject.toml lists for these extras."""
    extras = PROJECT["optional-dependencies"]
    requirements = [*PROJECT["dependencies"], *(line for name in EXTRAS.split(",") for line in extras[name])]
    return {re.split(r"[\[<>=!~ ;]", line, maxsplit=1)[0] for line in requirements}


def test_the_lock_file_names_what_the_project_needs_each_with_its_hash() -> None:
    rows = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    matches = [LINE.fullmatch(row) for row in rows]
    assert all(matches), rows
    assert needed() - {match[1] for match in matches if match} == set()


def test_the_bill_of_materials_names_what_is_installed() -> None:
    bill = bill_of("perdure")
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "perdure")
    names = [part["name"].lower().replace("_", "-") for part in bill["components"]]
    assert {"temporalio", "orjson", "protobuf"} <= set(names)
    assert len(names) == len(set(names))
    assert "perdure" not in names
    assert all(part["purl"].startswith("pkg:pypi/") and part["version"] for part in bill["components"])


def test_the_program_of_the_embedded_server_is_named_with_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "temporal"
    program.write_bytes(b"#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (part,) = server_program()
    assert part["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(b"#!/bin/sh\n").hexdigest()}]
    assert part["properties"] == [{"name": "path", "value": str(program.resolve())}]
