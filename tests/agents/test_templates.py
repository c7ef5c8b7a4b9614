from typing import Any

import pytest

from perdure.agents.shipped.string_template import string_template


@pytest.mark.parametrize(
    ("template", "inputs", "expected"),
    [
        ("<${a}>", {"a": "${b}", "b": "secret"}, "<${b}>"),
        ("${a} ${b}", {"a": "${b}", "b": "secret"}, "${b} secret"),
        ("price: ${a}!", {"a": "$& $` $' $$ $1"}, "price: $& $` $' $$ $1!"),
        ("${a}", {"a": "${b}", "b": "secret"}, "${b}"),
        ({"k": "${a}"}, {"a": {"inner": "${b}"}, "b": "secret"}, {"k": {"inner": "${b}"}}),
        ("<${x${a}}>", {"x${a}": "outer", "a": "inner"}, "<outer>"),
        ("${x${a}} ${a}", {"a": "inner", "x${a": "outer"}, "${xinner} ${a}"),
        ("${a}${b}", {"a": "\ud83c", "b": "\udf88"}, "🎈"),
        ("${1} ${b}", {"b": 2, "1": "${b}"}, "${b} 2"),
    ],
)
def test_inserted_text_is_never_scanned(template: Any, inputs: dict[str, Any], expected: Any) -> None:
    assert string_template(inputs, {"template": template}) == expected
