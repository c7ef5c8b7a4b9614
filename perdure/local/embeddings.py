"""Sentence embeddings on this machine: all-MiniLM-L6-v2 in NumPy.

The network is BERT (Devlin et al. 2019) with 6 layers of width 384, the sentence's vector is the
mean over its tokens, scaled to length 1 (Reimers and Gurevych 2019). What is different from the
sentence-transformers package: strings are cut at 512 tokens, not 256, because the network can read
that many and the chunks of a document often have them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

Array = npt.NDArray[np.float32]

EMBEDDING_SIZE = 384
LAYER_COUNT = 6
HEAD_COUNT = 12
MAX_TEXT_TOKENS = 512
"""Tokens of a string that are read; the rest is not."""

FORWARD_BATCH_TOKENS = 512
"""Tokens, padding included, that go through the network at once: about 30 MB of intermediate values."""


@dataclass(frozen=True)
class EmbeddingResult:
    """The vectors of some strings, a row of length 1 each, and the number of tokens that were read."""

    vectors: Array
    tokens: int


class MiniLM:
    """The model, loaded from the folder with its ``model.safetensors`` and ``tokenizer.json``."""

    def __init__(self, folder: Path) -> None:
        self._weights = _read_safetensors(folder / "model.safetensors")
        self._tokenizer = cast(Any, Tokenizer).from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(MAX_TEXT_TOKENS)  # the file says 128
        self._tokenizer.no_padding()

    def embed(self, texts: Sequence[str]) -> EmbeddingResult:
        """The vectors of `texts`, in the same order."""
        tokens = [cast("list[int]", encoded.ids) for encoded in self._tokenizer.encode_batch(list(texts))]
        vectors = np.empty((len(texts), EMBEDDING_SIZE), np.float32)
        for rows in _batches([len(ids) for ids in tokens]):
            vectors[rows] = self._forward([tokens[row] for row in rows])
        return EmbeddingResult(vectors, sum(map(len, tokens)))

    def _forward(self, batch: Sequence[Sequence[int]]) -> Array:
        """The vectors of token ids, of shape (len(batch), EMBEDDING_SIZE)."""
        longest = max(map(len, batch))
        ids = np.zeros((len(batch), longest), np.int64)
        mask = np.zeros((len(batch), longest), np.float32)
        for row, tokens in enumerate(batch):
            ids[row, : len(tokens)] = tokens
            mask[row, : len(tokens)] = 1
        hidden = self._start(ids)
        bias = (mask[:, None, None, :] - 1) * np.float32(1e9)
        for layer in range(LAYER_COUNT):
            hidden = self._layer(f"encoder.layer.{layer}", hidden, bias)
        mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def _start(self, ids: npt.NDArray[np.int64]) -> Array:
        word = self._weights["embeddings.word_embeddings.weight"][ids]
        position = self._weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kind = self._weights["embeddings.token_type_embeddings.weight"][0]
        return self._norm("embeddings.LayerNorm", word + position + kind)

    def _layer(self, name: str, hidden: Array, bias: Array) -> Array:
        attended = self._linear(f"{name}.attention.output.dense", self._attend(name, hidden, bias))
        hidden = self._norm(f"{name}.attention.output.LayerNorm", attended + hidden)
        wide = _gelu(self._linear(f"{name}.intermediate.dense", hidden))
        return self._norm(f"{name}.output.LayerNorm", self._linear(f"{name}.output.dense", wide) + hidden)

    def _attend(self, name: str, hidden: Array, bias: Array) -> Array:
        texts, length, width = hidden.shape

        def heads(part: str) -> Array:
            projected = self._linear(f"{name}.attention.self.{part}", hidden)
            return projected.reshape(texts, length, HEAD_COUNT, width // HEAD_COUNT).transpose(0, 2, 1, 3)

        scores = heads("query") @ heads("key").transpose(0, 1, 3, 2)
        scores *= np.float32(1 / math.sqrt(width // HEAD_COUNT))
        scores += bias
        scores -= scores.max(-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(-1, keepdims=True)
        return (scores @ heads("value")).transpose(0, 2, 1, 3).reshape(texts, length, width)

    def _linear(self, name: str, hidden: Array) -> Array:
        texts, length, width = hidden.shape
        # One large product is several times faster than one for each text.
        flat = hidden.reshape(texts * length, width) @ self._weights[f"{name}.weight"].T
        return (flat + self._weights[f"{name}.bias"]).reshape(texts, length, -1)

    def _norm(self, name: str, hidden: Array) -> Array:
        centred = hidden - hidden.mean(-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(-1, keepdims=True) + np.float32(1e-12))
        return centred / spread * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]


def _batches(lengths: Sequence[int]) -> list[list[int]]:
    """The rows in batches of similar length, so that little is padded."""
    batches: list[list[int]] = []
    room = 0
    for row in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if not batches or (len(batches[-1]) + 1) * room > FORWARD_BATCH_TOKENS:
            batches.append([])
            room = lengths[row]
        batches[-1].append(row)
    return batches


def _gelu(x: Array) -> Array:
    """Each value times the normal distribution function, to 1.5e-7: Abramowitz and Stegun 7.1.26."""
    z = np.abs(x) * np.float32(math.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * z)
    tail = np.full_like(t, 1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail *= t
        tail += np.float32(factor)
    tail *= t * np.exp(-z * z) * np.float32(0.5)
    return x * np.where(x < 0, tail, 1 - tail)


def _read_safetensors(path: Path) -> Mapping[str, Array]:
    """The float32 tensors of the file, mapped into memory: what is not read takes none.

    The file is 8 bytes with the length of a JSON header, the header, and the data that it describes.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = cast("dict[str, dict[str, Any]]", json.loads(file.read(size)))
    data = np.memmap(path, np.uint8, "r", 8 + size)
    return {
        name: np.asarray(data[slice(*entry["data_offsets"])].view(np.float32).reshape(entry["shape"]))
        for name, entry in header.items()
        if entry.get("dtype") == "F32"
    }
