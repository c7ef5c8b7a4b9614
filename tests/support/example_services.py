"""Stand-ins for Wikipedia and for OpenAI: a short article, vectors of words, and a model that quotes."""

from __future__ import annotations

import math
import re
from collections import Counter
from pathlib import Path
from typing import Any
from zlib import crc32

from tests.support.servers import Answer, Seen, failed, json_answer, said

ARTICLE = Path(__file__).with_name("article.txt")
TITLE = "Sam Bankman-Fried"
WIDTH = 64


def services(seen: Seen) -> Answer:
    """Answers what rag_wikipedia asks for."""
    if seen.path == "/w/api.php":
        return json_answer({"query": _query(seen)})
    if seen.path == "/v1/embeddings":
        return json_answer(_embeddings(seen.json))
    if seen.path == "/v1/chat/completions":
        return said(_answer(seen.json["messages"][-1]["content"]))
    return failed(404, f"nothing at {seen.path}")


def _query(seen: Seen) -> dict[str, Any]:
    hit = {"ns": 0, "title": TITLE, "pageid": 7}
    if seen.query.get("list") == "search":
        return {"search": [hit] if seen.query["srsearch"] == TITLE else []}
    return {"pages": [{**hit, "extract": ARTICLE.read_text()}]}


def _embeddings(request: Any) -> dict[str, Any]:
    vectors = [_vector(text) for text in request["input"]]
    data = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": request["model"], "usage": {}}


def _vector(text: str) -> list[float]:
    """How often each word is in the text, words sharing places by their hash; of length 1."""
    counts = Counter(crc32(word.encode()) % WIDTH for word in re.findall(r"\w{4,}", text.lower()))
    length = math.sqrt(sum(count * count for count in counts.values())) or 1.0
    return [round(counts[place] / length, 4) for place in range(WIDTH)]


def _answer(prompt: str) -> str:
    """The sentence of the document that shares the most words with the question in front of it."""
    question, _, document = prompt.partition("\n")
    words = set(re.findall(r"\w{4,}", question.lower()))
    sentences = re.split(r"(?<=\.)\s+", document)
    return max(sentences, key=lambda sentence: len(words & set(re.findall(r"\w{4,}", sentence.lower()))))
