from pathlib import Path

import numpy as np
import pytest

from perdure.local import embeddings
from perdure.local.embeddings import EMBEDDING_SIZE, MiniLM
from perdure.local.models import MINILM

pytestmark = pytest.mark.models

# Cosines as the documentation of sentence-transformers prints them for this model.
REFERENCE = [
    ("A man is eating food.", "A man is eating a piece of bread.", 0.7553),
    ("The new movie is awesome", "The new movie is so great", 0.8939),
    ("The cat sits outside", "The dog plays in the garden", 0.2838),
    ("A man is playing guitar", "A woman watches TV", -0.0327),
]


@pytest.fixture(scope="module")
def minilm(models: Path) -> MiniLM:
    return MiniLM(MINILM.place(models))


@pytest.mark.parametrize(("one", "other", "cosine"), REFERENCE)
def test_gives_the_cosines_of_the_reference(minilm: MiniLM, one: str, other: str, cosine: float) -> None:
    first, second = minilm.embed([one, other]).vectors
    assert float(first @ second) == pytest.approx(cosine, abs=2e-4)


def test_vectors_have_length_one_and_do_not_depend_on_their_company(
    minilm: MiniLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["short", "a somewhat longer text about nothing " * 9, "日本語 🎉", "short", " ", "word " * 90]
    together = minilm.embed(texts).vectors
    assert together.shape == (len(texts), EMBEDDING_SIZE)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(together, [minilm.embed([text]).vectors[0] for text in texts], atol=1e-5)
    monkeypatch.setattr(embeddings, "FORWARD_BATCH_TOKENS", 100_000)  # all in one, padded to the longest
    np.testing.assert_allclose(together, minilm.embed(texts).vectors, atol=1e-5)


def test_reads_512_tokens(minilm: MiniLM) -> None:
    text = "word " * 510  # and the two that mark its ends
    assert minilm.embed([text]).tokens == 512
    assert minilm.embed([text + "more"]).tokens == 512
    same, longer, other = minilm.embed([text, text + "more", text.replace("word word", "other word")]).vectors
    np.testing.assert_allclose(same, longer, atol=1e-6)
    assert float(same @ other) < 0.999
