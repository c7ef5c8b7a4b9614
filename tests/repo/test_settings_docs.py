"""The table of settings in docs/operations.md is that of the product, and each variable has its field."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from perdure.settings import VARIABLES, Settings

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_documented_variables_are_those_that_are_read() -> None:
    rows = re.findall(
        r"^\| `(PERDURE_\w+)` \| (.*?) \| (.*) \|$", OPERATIONS.read_text("utf-8"), re.MULTILINE
    )
    documented = {name: (default, re.sub(r"\[(.*?)\]\(.*?\)", r"\1", text)) for name, default, text in rows}
    own = [variable for variable in VARIABLES if not variable.key]
    assert documented == {variable.name: (variable.default, variable.help) for variable in own}


def test_each_field_has_its_variable() -> None:
    assert {variable.field for variable in VARIABLES} == {field.name for field in fields(Settings)}
