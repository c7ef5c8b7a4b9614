"""Every shipped agent on the worst text for it: time that grows as the text does, and no faster.

How long each takes in seconds shows `python -m tests.worst_text`.
"""

from pathlib import Path

import pytest

from tests.support.growth import overgrown
from tests.support.worst_agents import AGENTS, ELSEWHERE, PARTS, WORST, called, refusing


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the data of tokens is, which takes a while to load."""
    path = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIKTOKEN_CACHE_DIR", "")
        called("tokenBoundStringsAgent", ({"chunks": ["a"]}, {}), path)()
    return path


@pytest.mark.parametrize("name", WORST)
def test_agents(name: str, home: Path) -> None:
    assert overgrown(lambda size: [called(name, case, home) for case in WORST[name](size)]) == []


@pytest.mark.parametrize("name", PARTS)
def test_what_others_say(name: str) -> None:
    assert overgrown(lambda size: [refusing(work) for work in PARTS[name](size)]) == []


def test_every_agent_has_its_worst_text() -> None:
    assert {*WORST, *ELSEWHERE} == set(AGENTS)
