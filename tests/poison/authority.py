"""Graphs and starts that reach for what is not theirs: queues, tools, files, keys, hosts.

That none of it is granted is tested where it is decided; here, that each attempt ends typed, at once, and
leaves the worker and the runs next door alone.
"""

from __future__ import annotations

from typing import Any

from tests.poison.case import Case, graph, one, request

ACTIVITIES = ("perdure.agents", "perdure.segment", "perdure.fetch", "perdure.keep")

FILES = {
    "hidden file": (".", ".env"),
    "file of a parent": (".", "../../../../../../etc/passwd"),
    "environment of the process": ("/proc/self", "environ"),
    "folder of the system": ("/", "etc/shadow"),
    "device": ("/dev", "zero"),
    "file of a long name": (".", "a/" * 20_000 + "b"),
    "file with NUL": (".", "a\0.txt"),
    "file with half a character": (".", "\ud800.txt"),
}

URLS = {
    "another path of the gateway": "HOSTILE/operator/admin/keys",
    "a path around the gateway's": "HOSTILE/operator/v1/../admin/keys",
    "a query at the gateway": "HOSTILE/operator/v1?x=/admin",
    "a fragment at the gateway": "HOSTILE/operator/v1#/admin",
    "the metadata service": "http://169.254.169.254/latest",
    "a user name in front": "http://operator@127.0.0.1/v1",
    "a file": "file:///etc/passwd",
    "a port that is none": "http://127.0.0.1:99999/v1",
}


def cases() -> list[Case]:
    """All of them."""
    documents = {**_queues(), **_tools(), **_files(), **_urls()}
    cases = [Case(name=name, kind="rights", document=document) for name, document in documents.items()]
    return [*cases, *_starts()]


def _queues() -> dict[str, Any]:
    documents: dict[str, Any] = {
        "transfer on another queue": one("transfer_money", {"to": "x", "amount": 1}, queue="payments"),
        "a long queue": one("copyAgent", queue="q" * 100_000),
        "a queue of control characters": one("copyAgent", queue="\x1b]8;;http://x\x07\u202e"),
    }
    for name in ACTIVITIES:
        documents[f"{name} as an agent"] = one(name, queue="perdure")
        node: dict[str, Any] = {"agent": ":v", "queue": "perdure", "inputs": {"x": [[]]}, "isResult": True}
        documents[f"{name} by reference"] = graph(v={"value": name}, a=node)
    return documents


def _tools() -> dict[str, Any]:
    """A model calls 20,000 tools, of which it was offered none."""
    documents: dict[str, Any] = {}
    for agent in ("toolsAgent", "toolsSequentialAgent"):
        for tools in ([], None, [{"type": "function", "function": {"name": "lamp--on"}}]):
            inputs = {
                "llmAgent": "openAIAgent",
                "messages": [],
                "userInput": {"text": "?"},
                "tools": tools,
                "llmModel": "many-tools",
            }
            documents[f"{agent} with {'tools' if tools else tools}"] = one(agent, inputs)
    return documents


def _files() -> dict[str, Any]:
    return {
        name: one("fileReadAgent", {"file": file}, params={"baseDir": folder, "outputType": "text"})
        for name, (folder, file) in FILES.items()
    }


def _urls() -> dict[str, Any]:
    return {
        name: one("openAIAgent", {"prompt": "hello"}, params={"baseURL": url, "model": "nonsense"})
        for name, url in URLS.items()
    }


def _starts() -> list[Case]:
    """Starts that no client of Perdure sends."""
    fetch = one("vanillaFetchAgent", {"url": "http://192.0.2.1/", "headers": {"Idempotency-Key": "x"}})
    chat = one("openAIAgent", {"prompt": "hello"}, params={"baseURL": "http://192.0.2.1/v1"})
    config = {"openAIAgent": {"apiKey": "sk-x"}, "vanillaFetchAgent": {"authorization": "Bearer x"}}
    starts = {
        "agents on another queue": request(one("sleeperAgent"), queue="payments"),
        "a queue of a megabyte": request(one("sleeperAgent"), queue="q" * 1_000_000),
        "the caller's authorization elsewhere": request(fetch, config=config),
        "the caller's key elsewhere": request(chat, config=config),
        "a bypass of what decides": request(
            _tools()["toolsAgent with []"], bypass_agents=["toolsAgent.offered", "toolsAgent.refusal"]
        ),
    }
    return [Case(name=name, kind="rights", start=[start]) for name, start in starts.items()]
