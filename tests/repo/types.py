"""python -m tests.repo.types [--all]: checks the types of what has changed since all were right.

A module can only become wrong if it changes, or a module that it imports, however indirectly. With
`--all`, and when Python, the settings or the installed packages have changed, all modules are checked.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
RIGHT = ROOT / ".venv" / "right-types.json"
UNCHECKED = ("perdure/examples", "perdure/starter")


def digests(root: Path) -> dict[str, str]:
    """Of each module by its path, and of what matters to all of them under the empty path."""
    paths = sorted(str(path.relative_to(root)) for path in root.glob("perdure/**/*.py"))
    modules = {
        path: sha256((root / path).read_bytes()).hexdigest()
        for path in paths
        if not path.startswith(UNCHECKED)
    }
    packages = sorted(f"{each.name} {each.version}" for each in distributions())
    settings = (root / "pyproject.toml").read_text()
    return {"": sha256("\n".join((sys.version, settings, *packages)).encode()).hexdigest(), **modules}


def stale(root: Path, known: Mapping[str, str], now: Mapping[str, str]) -> set[str]:
    """The modules to check: those that changed, and those that import one that has changed or gone."""
    if known.get("") != now[""]:
        return now.keys() - {""}
    importers: dict[str, set[str]] = {}
    for path in now.keys() - {""}:
        for name in imported((root / path).read_text("utf-8"), path):
            importers.setdefault(name, set()).add(path)
    waiting = [path for path in known.keys() | now.keys() if known.get(path) != now.get(path)]
    reached = set(waiting)
    while waiting:
        for path in importers.get(module(waiting.pop()), set()) - reached:
            reached.add(path)
            waiting.append(path)
    return reached & now.keys()


def imported(text: str, path: str) -> Iterator[str]:
    """The names that a module imports: of modules, and of what may be a module or a part of one."""
    for node in ast.walk(ast.parse(text, path)):
        if isinstance(node, ast.Import):
            for item in node.names:
                parts = item.name.split(".")
                yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
        elif isinstance(node, ast.ImportFrom):
            yield from (str(node.module), *(f"{node.module}.{item.name}" for item in node.names))


def module(path: str) -> str:
    """The dotted name of a file."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def main() -> int:
    """The exit code of pyright, 0 if there is nothing to check."""
    now = digests(ROOT)
    known = json.loads(RIGHT.read_text()) if RIGHT.exists() and "--all" not in sys.argv else {}
    changed = stale(ROOT, known, now)
    print(f"types: {len(changed)} of {len(now) - 1} modules to check", flush=True)
    everything = len(changed) == len(now) - 1
    code = subprocess.call(["pyright", *([] if everything else sorted(changed))]) if changed else 0
    if code == 0:
        RIGHT.write_text(json.dumps(now))
    return code


if __name__ == "__main__":
    sys.exit(main())
