"""The worst strings for every shipped agent, and for what reads strings of others: cases by their size."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from perdure.agents.agent import AgentContext
from perdure.agents.catalog import catalog
from perdure.agents.llm import messages
from perdure.agents.shipped import fetch_xml
from perdure.errors import AgentError
from perdure.net import url
from perdure.settings import Settings

AGENTS = catalog()
ELSEWHERE = {
    "openAIAgent", "openAIFetchAgent", "openAIImageAgent", "anthropicAgent", "geminiAgent", "groqAgent",
    "stringEmbeddingsAgent", "fetchAgent", "vanillaFetchAgent", "wikipediaAgent",
    "fileReadAgent", "fileWriteAgent", "textInputAgent", "humanInputAgent",
    "waitAgent", "eventAgent", "sendAgent", "outboxAgent",
    "sleeperAgent", "sleeperAgentDebug", "sleepAndMergeAgent", "streamMockAgent",
}  # fmt: skip
"""Agents that call others, or wait; what they do with a string of others is in PARTS."""

Case = tuple[Any, Any]


def times(text: str, size: int) -> str:
    return text * (size // len(text))


def texts(text: str, size: int) -> list[str]:
    return [text] * (size // (len(text) + 3))


WORST: dict[str, Callable[[int], list[Case]]] = {
    "toolsAgent.offered": lambda n: [
        (
            {"tools": [{"function": {"name": "a" * 10}}] * (n // 40), "tool_call": {"name": times("a--", n)}},
            {},
        )
    ],
    "windowAgent": lambda n: [
        (
            {"events": [{"at": i * 7 % n, "body": {"t": i}} for i in range(n // 30)]},
            {"hold": "1s", "all": [{"field": "t", "above": 80}], "lateness": "1s"},
        ),
        (
            {"events": [{"at": i * 7 % n, "body": {"t": i}} for i in range(n // 30)]},
            {"tumbling": "1s", "lateness": "1s"},
        ),
    ],
    "toolsAgent.refusal": lambda n: [({"arg": times("a", n)}, {})],
    "arrayFindFirstExistsAgent": lambda n: [({"array": [None] * (n // 5) + [1]}, {})],
    "arrayFlatAgent": lambda n: [({"array": [[[1]]] * (n // 6)}, {"depth": 2})],
    "arrayJoinAgent": lambda n: [({"array": texts("\ud83d", n)}, {"separator": "\ude00"})],
    "arrayToObjectAgent": lambda n: [({"items": [{"k": str(i)} for i in range(n // 14)]}, {"key": "k"})],
    "popAgent": lambda n: [({"array": texts("a", n)}, {})],
    "pushAgent": lambda n: [({"array": texts("a", n), "items": texts("a", n)}, {})],
    "shiftAgent": lambda n: [({"array": texts("a", n)}, {})],
    "compareAgent": lambda n: [
        ({"array": [times("a", n), "==", times("a", n)]}, {}),
        ({"leftValue": times("1", n), "rightValue": times("2", n)}, {"operator": ">="}),
    ],
    "copyAgent": lambda n: [({"text": times("a", n)}, {"namedKey": "text"})],
    "dataObjectMergeTemplateAgent": lambda n: [({"array": [{"k": {str(i): i}} for i in range(n // 16)]}, {})],
    "dataSumTemplateAgent": lambda n: [({"array": texts("1", n)}, {}), ({"array": [1.5] * (n // 4)}, {})],
    "lookupDictionaryAgent": lambda n: [({"namedKey": times("a", n)}, {times("a", n): 1})],
    "mergeObjectAgent": lambda n: [({"items": [{str(i): i} for i in range(n // 12)]}, {})],
    "totalAgent": lambda n: [
        ({"array": [{f"k{i}": 1} for i in range(n // 12)]}, {}),
        ({"array": [{"a": "b"}] * (n // 10)}, {}),
    ],
    "images2messageAgent": lambda n: [({"array": [times("a", n)]}, {"imageType": "png"})],
    "dotProductAgent": lambda n: [({"matrix": [[1.5]] * (n // 6), "vector": [2.5]}, {})],
    "sortByValuesAgent": lambda n: [({"array": texts("a", n), "values": [1.5] * (n // 4)}, {})],
    "pathUtilsAgent": lambda n: [
        ({"path": times("../a/", n)}, {"method": "normalize"}),
        ({"dirs": texts("../a", n)}, {"method": "resolve"}),
    ],
    "copyMessageAgent": lambda n: [({}, {"count": n // 4, "message": "a"})],
    "copy2ArrayAgent": lambda n: [({"item": "a"}, {"count": n // 4})],
    "countingAgent": lambda n: [({}, {"count": n // 4})],
    "echoAgent": lambda n: [({}, {"text": times("a", n)})],
    "mergeNodeIdAgent": lambda n: [({"array": [{str(i): i} for i in range(n // 12)]}, {})],
    "propertyFilterAgent": lambda n: [
        ({"array": [[{"a": 1}] * (n // 10), "h"]}, {"include": ["a"], "alter": {"a": {"1": "x"}}}),
        ({"item": {str(i): i for i in range(n // 14)}}, {"exclude": [str(i) for i in range(n // 14)]}),
        ({"array": [[{}] * (n // 4), 1]}, {"inject": [{"propId": "a", "from": 1}] * (n // 50)}),
    ],
    "stringTemplateAgent": lambda n: [
        ({f"k{i}": "v" for i in range(n // 14)}, {"template": times("${k1}${k22}${k333}", n)}),
        ({"${" * i: "v" for i in range(1, 200)}, {"template": times("${", n) + "}"}),
        ({"a}" * (n // 8): "v", "a": ""}, {"template": times("${a}", n)}),
        ({f"k{i}": "v" for i in range(n // 14)}, {"template": texts("${k1}", n)}),
    ],
    "consoleAgent": lambda n: [({"text": times("\u009b", n // 2)}, {})],
    "jsonParserAgent": lambda n: [
        ({"text": "```" + times("a", n)}, {}),
        ({"text": times("\n```a", n)}, {}),
        ({"text": times("```json\n", n)}, {}),
        ({"text": times("[", n)}, {}),
        ({"text": "[" + times("[],", n) + "1]"}, {}),
        ({"text": times('{"a":', n)}, {}),
        ({"text": '"' + times("\\u0000", n) + '"'}, {}),
        ({"text": times("9", n)}, {}),
        ({"data": texts("\ud83d\x00", n)}, {}),
    ],
    "stringCaseVariantsAgent": lambda n: [
        ({"text": times(" -_", n)}, {}),
        ({"text": times("a b-", n)}, {}),
        ({"text": times("\u0130", n // 2)}, {}),
    ],
    "stringSplitterAgent": lambda n: [
        ({"text": times("a", n)}, {"chunkSize": 1, "overlap": 0}),
        ({"text": times("\U0001f600", n // 4)}, {"chunkSize": 3, "overlap": 1}),
    ],
    "tokenBoundStringsAgent": lambda n: [
        ({"chunks": [times(text, n // 4)]}, {}) for text in ("a", " ", "^", "\U0001f600", "'s", "\n ")
    ],
    "toolsAgent.data": lambda n: [({"passthrough": {"a": 1}, "agentName": times("a", n)}, {})],
    "toolsAgent.merge": lambda n: [
        ({"llmToolCalls": [{"name": "a"}] * (n // 12), "data": [1] * (n // 12)}, {})
    ],
}

PARTS: dict[str, Callable[[int], list[Callable[[], Any]]]] = {
    "the object in a model's answer": lambda n: [
        lambda: messages.json_object("```" + times(" ", n) + "x"),
        lambda: messages.json_object("```" + times("a", n)),
        lambda: messages.json_object(times("``` \n", n)),
    ],
    "the calls of tools in an answer": lambda n: [
        lambda: messages.tool_calls({"tool_calls": [{"function": {"arguments": times("[", n)}}]}),
        lambda: messages.tool_calls({"tool_calls": [{"function": {"arguments": "["}}] * (n // 30)}),
    ],
    "XML": lambda n: [
        lambda: fetch_xml.parse("<a>" + times("<b/>", n) + "</a>"),
        lambda: fetch_xml.parse("<a>" + times("&#65;<b/>", n) + "</a>"),
        lambda: fetch_xml.parse("<a " + " ".join(f'a{i}="1"' for i in range(n // 12)) + "/>"),
        lambda: fetch_xml.parse(times("<a>", n)),
    ],
    "URLs": lambda n: [
        lambda: url.parse("http://a/" + times("../", n)),
        lambda: url.parse("http://a/" + times("a/", n)),
        lambda: url.parse("http://" + times("1", n) + "/"),
        lambda: url.parse("http://" + times("1.", n) + "/"),
        lambda: url.parse("http://" + times("\u0fda", n // 3)),
        lambda: url.parse("http://" + times("a@", n)),
        lambda: url.parse("http://a/?" + times("%", n)),
        lambda: url.parse("http://[" + times(":", n) + "]/"),
    ],
}


def refusing(work: Callable[[], Any]) -> Callable[[], Any]:
    """To refuse must be as fast."""

    def refused() -> None:
        with suppress(AgentError, ValueError):
            work()

    return refused


def called(name: str, case: Case, home: Path) -> Callable[[], Any]:
    agent, (inputs, params) = AGENTS[name], case
    context = AgentContext(agent=name, settings=Settings(home=home))

    def work() -> None:
        result = agent.call(inputs, params, context)
        assert not inspect.isawaitable(result)

    return refusing(work)
