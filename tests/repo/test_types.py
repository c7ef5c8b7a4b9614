"""What `python -m tests.repo.types` checks again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.repo.types import digests, stale

MODULES = {
    "perdure/__init__.py": "",
    "perdure/base.py": "A = 1\n",
    "perdure/middle/__init__.py": "from perdure.base import A\n",
    "perdure/middle/inner.py": "",
    "perdure/top.py": "def late():\n    import perdure.middle.inner\n",
    "perdure/alone.py": "from perdure import other\n",
    "perdure/other.py": "import json\n",
    "perdure/starter/agents.py": "import perdure.base\n",
}
ALL = {path for path in MODULES if "starter" not in path}


@pytest.mark.parametrize(
    ("changes", "checked"),
    [
        ({}, set[str]()),
        ({"perdure/starter/agents.py": "x"}, set[str]()),
        ({"perdure/top.py": "1"}, {"perdure/top.py"}),
        ({"perdure/other.py": "1"}, {"perdure/other.py", "perdure/alone.py"}),
        ({"perdure/other.py": None}, {"perdure/alone.py"}),
        ({"perdure/middle/inner.py": "1"}, {"perdure/middle/inner.py", "perdure/top.py"}),
        ({"perdure/base.py": "A = ''"}, {"perdure/base.py", "perdure/middle/__init__.py", "perdure/top.py"}),
        ({"perdure/new.py": "1"}, {"perdure/new.py"}),
        ({"pyproject.toml": "[tool.pyright]"}, ALL),
    ],
)
def test_what_depends_on_a_change_is_checked(
    changes: dict[str, str | None], checked: set[str], tmp_path: Path
) -> None:
    for path, text in {**MODULES, "pyproject.toml": ""}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    known = digests(tmp_path)
    for path, text in changes.items():
        (tmp_path / path).unlink() if text is None else (tmp_path / path).write_text(text)
    assert stale(tmp_path, known, digests(tmp_path)) == checked
    assert stale(tmp_path, {}, digests(tmp_path)) == {path for path in digests(tmp_path) if path}
