"""Settings: what the environment says. No other module reads it.

Temporal's own variables (TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, profiles) are read by the SDK's
envconfig, in perdure.client.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def _default_home() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "perdure"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set from outside, with the defaults that need no thought.

    `home` holds the embedded server's database, the local models and the state of both.
    `file_root` is the only folder that file agents may touch. `keys` maps a provider ("openai",
    "anthropic", "gemini", "groq") to its API key, `base_urls` to its base URL.
    """

    home: Path = field(default_factory=_default_home)
    file_root: Path = field(default_factory=Path.cwd)
    queue: str = "perdure"
    local_activities: bool = True
    local_model: str = "smollm2"
    wikipedia_url: str = "https://{lang}.wikipedia.org/w/api.php"
    keys: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    base_urls: Mapping[str, str] = field(default_factory=dict[str, str])

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
        if env.get("PERDURE_LOCAL_MODEL"):
            given["local_model"] = env["PERDURE_LOCAL_MODEL"]
        if env.get("PERDURE_WIKIPEDIA_URL"):
            given["wikipedia_url"] = env["PERDURE_WIKIPEDIA_URL"]
        given["keys"] = _of_providers(env, "_API_KEY")
        given["base_urls"] = _of_providers(env, "_BASE_URL")
        return cls(**given)  # type: ignore[arg-type]  # each key is a field of its own type


PROVIDERS = ("openai", "anthropic", "gemini", "groq")


def _of_providers(env: Mapping[str, str], suffix: str) -> dict[str, str]:
    return {name: env[name.upper() + suffix] for name in PROVIDERS if env.get(name.upper() + suffix)}
