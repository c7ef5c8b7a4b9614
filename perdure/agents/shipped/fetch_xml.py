"""XML as dictionaries, the way GraphAI's fetchAgent hands it to a graph.

Source: npm xml2js with ``explicitArray: false, mergeAttrs: true``: an element that holds only text is a
string; attributes and children are keys; what occurs twice is a list; text next to them is ``_``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from perdure.errors import AgentError
from perdure.graph.values import Value

MAX_XML_DEPTH = 200
"""Elements within elements; more would exhaust the stack of the code that walks the result."""

MAX_XML_ELEMENT_COUNT = 200_000
"""Elements and attributes of a document."""


@dataclass
class _Element:
    name: str
    members: dict[str, Value] = field(default_factory=dict[str, Value])
    text: list[str] = field(default_factory=list[str])

    def add(self, name: str, value: Value) -> None:
        if name not in self.members:
            self.members[name] = value
        elif isinstance(self.members[name], list):
            self.members[name].append(value)
        else:
            self.members[name] = [self.members[name], value]

    def value(self) -> Value:
        text = "".join(self.text)
        if not self.members:
            return text if text.strip() else ""
        return {**({"_": text} if text.strip() else {}), **self.members}


def parse(text: str) -> Value:
    """The value of an XML document: ``{root: …}``. Raises AgentError where it is none.

    A document type declaration is refused: entities defined there can grow without bound.
    """
    stack = [_Element("")]
    count = 0
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1 + len(attributes)
        if count > MAX_XML_ELEMENT_COUNT:
            raise AgentError(f"the XML has more than {MAX_XML_ELEMENT_COUNT:,} elements and attributes")
        if len(stack) > MAX_XML_DEPTH:
            raise AgentError(f"the XML is nested deeper than {MAX_XML_DEPTH} elements")
        element = _Element(name)
        for key, value in attributes.items():
            element.add(key, value)
        stack.append(element)

    def end(name: str) -> None:
        element = stack.pop()
        stack[-1].add(name, element.value())

    def doctype(*_: Any) -> None:
        raise AgentError("the XML has a document type declaration, which is refused")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = lambda data: stack[-1].text.append(data)
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise AgentError(f"the answer is not XML: {error}") from None
    return stack[0].members
