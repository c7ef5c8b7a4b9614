"""A run says once that a local model answers for it."""

from perdure.agents.agent import AgentContext
from perdure.agents.llm.local_notice import notice_local_model


def test_a_run_says_it_once_and_again_after_a_thousand_others() -> None:
    console: list[str] = []

    def call(run: str) -> int:
        notice_local_model(AgentContext(run=run, log=console.append))
        return len(console)

    assert (call("first"), call("first")) == (1, 1)
    assert console[0].startswith("no API key: smollm2 answers for every model (set OPENAI_API_KEY, or ")
    for number in range(1_000):
        call(f"other {number}")
    assert call("first") == 1_002
