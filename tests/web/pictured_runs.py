"""The runs on the pictures, next to the one of `pictures`: each is held in one moment, or has failed."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from perdure.agents.agent import AgentContext, agent
from perdure.errors import FinalError
from perdure.graph.text.load import load
from tests.support import ROOT

RAG: Final[Any] = load((ROOT / "examples" / "rag" / "graph.yaml").read_bytes()).data
MAP: Final[dict[str, Any]] = {
    "concurrency": 100,
    "nodes": {
        "charts": {"value": [f"chart-{number}" for number in range(1_000)]},
        "read": {
            "agent": "mapAgent",
            "inputs": {"rows": ":charts"},
            "graph": {
                "nodes": {
                    "scan": {"agent": "scanChart", "inputs": {"chart": ":row"}},
                    "depths": {"agent": "copyAgent", "inputs": {"of": ":scan"}, "isResult": True},
                }
            },
        },
        "atlas": {"agent": "copyAgent", "inputs": {"charts": ":read"}, "isResult": True},
    },
}
CHAT: Final[dict[str, Any]] = {
    "loop": {"while": ":continue"},
    "nodes": {
        "continue": {"value": True, "update": ":asked.text"},
        "messages": {"value": [], "update": ":extended.array"},
        "asked": {"agent": "textInputAgent", "params": {"message": "Your question about **Port Varrow**?"}},
        "reply": {"agent": "openAIAgent", "inputs": {"prompt": ":asked.text", "messages": ":messages"}},
        "extended": {"agent": "pushAgent", "inputs": {"array": ":messages", "item": ":reply.text"}},
    },
}
FAILED: Final[dict[str, Any]] = {
    "nodes": {
        "order": {"value": {"id": 4711, "total": 129.9}},
        "checked": {"agent": "copyAgent", "inputs": {"order": ":order"}},
        "paid": {"agent": "payService", "inputs": {"order": ":checked.order"}, "retry": 2},
        "receipt": {"agent": "copyAgent", "inputs": {"payment": ":paid"}, "isResult": True},
        "stock": {"agent": "copyAgent", "inputs": {"order": ":checked.order"}},
    }
}
HELD_CHART: Final = 640


@agent("stringEmbeddingsAgent")
async def embeddings(inputs: dict[str, Any]) -> list[list[float]]:
    """Stands for a model of embeddings."""
    items = inputs.get("array") or [inputs.get("item")]
    return [[len(str(item)) % 7 / 7, 1.0] for item in items]


@agent("openAIAgent")
async def answer(inputs: dict[str, Any], context: AgentContext) -> dict[str, Any]:
    """Stands for a language model: streams, and does not end where it has a system prompt."""
    text = "The Lantern Library was founded in 1887 by the ship owner Ada Merrin."
    for word in text.split()[:9]:
        await context.emit(f"{word} ")
        await asyncio.sleep(0.05)
    if inputs.get("system"):
        await asyncio.Event().wait()
    return {"text": text, "usage": {"prompt_tokens": 412, "completion_tokens": 18}, "model": "gpt-5-mini"}


@agent("scanChart")
async def scan(inputs: dict[str, Any]) -> str:
    """Does not return for the last charts."""
    if int(inputs["chart"].removeprefix("chart-")) >= HELD_CHART:
        await asyncio.Event().wait()
    return f"The depths of {inputs['chart']}."


@agent("payService")
async def pay() -> None:
    """Refuses."""
    raise FinalError("the card was declined (code 51): insufficient funds")


AGENTS: Final = (embeddings, answer, scan, pay)
