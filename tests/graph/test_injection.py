"""Hostile values and references: nothing but data comes out, and always soon."""

import time
from contextlib import suppress
from typing import Any

import pytest

from perdure.errors import FunctionError
from perdure.graph.functions import FUNCTIONS
from perdure.graph.reference import parse_path, parse_reference
from perdure.graph.template_compiler import compile_inputs, compile_output
from perdure.graph.values import UNDEFINED

SECRET = "hunter2"

PAYLOADS = [
    "${:secret}",
    "${:a}",
    "$${:secret}",
    "${@now}",
    "@now",
    "@loop",
    ":secret",
    ".secret",
    "$&",
    "$$",
    "$`",
    "$'",
    "$1",
    "$<name>",
    "{{7*7}}",
    "${7*7}",
    "#{7*7}",
    "<%= 7*7 %>",
    "*{7*7}",
    "{7*7}",
    "%(secret)s",
    "%s%n",
    "{secret}",
    "{0}",
    "{0.__class__}",
    "{0.__class__.__mro__[1].__subclasses__()}",
    "{{config}}",
    "{{self.__init__.__globals__}}",
    "{{''.__class__.__mro__[2].__subclasses__()}}",
    "{{cycler.__init__.__globals__.os.popen('id').read()}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${T(java.lang.Runtime).getRuntime().exec('id')}",
    "#set($x='')#set($rt=$x.class.forName('java.lang.Runtime'))",
    "<#assign ex='freemarker.template.utility.Execute'?new()>",
    "{php}echo `id`;{/php}",
    "${jndi:ldap://x/a}",
    "$(id)",
    "`id`",
    "__import__('os').system('id')",
    "\\u0024{:secret}",
    "$\u200b{:secret}",
    "\uff04{:secret}",
    "$\n{:secret}",
]


class Scope:
    now_ms = 5
    loop = 3

    def __init__(self, value: Any) -> None:
        self.results = {"a": value, "secret": SECRET, "self": {"a": value, "secret": SECRET}}

    def result(self, node: str) -> Any:
        return self.results.get(node, UNDEFINED)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_values_come_out_literally(payload: str) -> None:
    inputs = {
        "whole": ":a",
        "text": "<${:a}>",
        "twice": "${:a}|${:a}",
        "before": "${:a}${@loop}",
        "after": "${@loop}${:a}",
        "joined": "${:a.split(|).join(-)}",
        "list": [[":a"]],
    }
    assert compile_inputs(inputs).render(Scope(payload)) == {
        "whole": payload,
        "text": f"<{payload}>",
        "twice": f"{payload}|{payload}",
        "before": f"{payload}3",
        "after": f"3{payload}",
        "joined": "undefined",
        "list": [[payload]],
    }
    assert compile_output({"whole": ".a", payload: 1}).render(Scope(payload)) == {
        "whole": payload,
        payload: 1,
    }


def test_what_one_value_brings_in_is_not_filled_by_another() -> None:
    rendered = compile_inputs(["${:a} / ${:secret}"]).render(Scope("${:secret}"))
    assert rendered == ["${:secret} / " + SECRET]


NOT_DATA = [
    "__class__",
    "__class__.__mro__.$1.__subclasses__()",
    "__init__.__globals__",
    "__dict__",
    "__doc__",
    "__getattribute__",
    "__getitem__",
    "__len__()",
    "__reduce__",
    "__proto__",
    "__proto__.polluted",
    "constructor",
    "constructor.constructor",
    "constructor(return process)()",
    "prototype",
    "hasOwnProperty",
    "isPrototypeOf",
    "toLocaleString",
    "toString",
    "valueOf",
    "__defineGetter__",
    "__lookupGetter__",
    "keys",
    "items",
    "get",
    "pop",
    "append",
    "format",
    "encode",
    "upper",
    "real",
    "strip",
    "length",
    "body",
    "eval(1)",
    "exec(1)",
    "format(x)",
    "getattr(x)",
    "import(os)",
    "body()",
    "accepts()",
    "__class__()",
    "valueOf()",
    "call()",
    "apply()",
    "bind()",
    "$-1",
    "$1e9",
    "$0x0",
    "$\u0660",
    "$first",
    "-1",
    "0",
    "[0]",
    "['a']",
    "",
    "*",
    "..",
]


@pytest.mark.parametrize("prop", NOT_DATA)
@pytest.mark.parametrize("value", [{"a": 1}, [1], "text", 1, 1.5, True, None, UNDEFINED, {}, []], ids=repr)
def test_nothing_but_data_is_reachable(prop: str, value: Any) -> None:
    for reference in (parse_reference(f":n.{prop}"), parse_path(f".{prop}")):
        assert reference is not None
        assert reference.read(value) is UNDEFINED


@pytest.mark.parametrize("prop", ["__proto__", "constructor", "toString", "__class__", "eval(1)", ""])
def test_own_keys_are_data_whatever_their_name(prop: str) -> None:
    reference = parse_reference(f":n.{prop}")
    assert reference is not None
    assert reference.read({prop: 1}) == 1


@pytest.mark.parametrize("text", ["{" * 65_536, "x" * 65_536, "[" * 100 + "x" * 65_536])
def test_a_message_shows_little_of_a_value(text: str) -> None:
    reference = parse_reference(":n.jsonParse()")
    assert reference is not None
    with pytest.raises(FunctionError) as caught:
        reference.read(text)
    assert len(str(caught.value)) < 400


SIZE = 65_536
HOSTILE = {
    "brackets": "[" * SIZE,
    "objects": '{"a":' * (SIZE // 5),
    "escapes": '"' + "\\" * SIZE,
    "strings full of brackets": '["' + "[" * SIZE + '"]',
    "flat lists": "[" + "[]," * (SIZE // 3) + "0]",
    "fences": "\n```" * (SIZE // 4),
    "open fence": "```" + "a" * SIZE,
    "digits": "1" * SIZE,
    "hexadecimal": "0x" + "f" * SIZE,
    "decimal points": "1." * (SIZE // 2),
    "exponent": "1e" + "9" * SIZE,
    "spaces": " " * SIZE + "x" + " " * SIZE,
    "placeholders": "${:" * (SIZE // 3),
    "pairs": "\U0001f600" * (SIZE // 2),
    "halves": "\ud83d" * SIZE,
    "parentheses": "(" * SIZE,
    "minus": "-" * SIZE,
    "steps": ".a" * (SIZE // 2),
}
LIMIT = 10.0
"""Seconds of processor time, a hundred times what the slowest case takes; a quadratic search takes more."""


@pytest.mark.parametrize("name", HOSTILE)
def test_every_function_on_hostile_text(name: str) -> None:
    text = HOSTILE[name]
    calls = [f"{function}({argument})" for function in FUNCTIONS for argument in ("", ",", "1", "-1,2", "--")]
    slow = []
    for call in calls:
        reference = parse_reference(f":n.{call}")
        assert reference is not None
        for value in (text, [text] * 4, {"a": text}, {text: 1}):
            start = time.thread_time()
            with suppress(FunctionError):
                reference.read(value)
            if time.thread_time() - start > LIMIT:
                slow.append(call)
    assert slow == []


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "start", [":n.", ":n.equal(", ":n.slice(", ":n.add(", ":n.default(", "${:", "${@", "."]
)
def test_hostile_documents(name: str, start: str) -> None:
    before = time.thread_time()
    for value in ("x", 1, True, UNDEFINED):
        text = f"{start}{HOSTILE[name]})" + "}" * start.startswith("$")
        compile_output([text])
        compile_inputs([text]).render(Scope(value))
    assert time.thread_time() - before < 4 * LIMIT


@pytest.mark.parametrize("piece", ["${:", "${:}", "${@x", "${", "}", "$"])
def test_placeholders_are_located_in_linear_time(piece: str) -> None:
    text = piece * 250_000
    before = time.thread_time()
    assert compile_inputs([text]).render(Scope("x")) == [text]
    assert compile_output([text]).render(Scope("x")) == [text]
    assert time.thread_time() - before < 4 * LIMIT
