"""What is sent of an update, what it reveals, what it costs: compression, masks, noise, signatures."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from perdure.agents.distributed.extras import library
from perdure.agents.distributed.maths import compress, masks, privacy, shares, signatures
from perdure.agents.distributed.maths.tensors import Tensors, flat, norm
from perdure.errors import FinalError

pytestmark = pytest.mark.unit

UPDATE = {"w": np.array([[3, -1, 0.5], [0, 4, -4]], np.float32), "b": np.array([2, -0.25], np.float32)}
SITES = ["a", "b", "c", "d", "e"]
ABOUT = "run-1 round 3"
KEYS = {site: masks.round_keys(site.encode() * 32, ABOUT) for site in SITES}
PUBLICS = {site: keys.public for site, keys in KEYS.items()}
VECTORS = {
    site: np.random.default_rng(index).standard_normal(650).astype(np.float32)
    for index, site in enumerate(SITES)
}


def test_the_largest_numbers_are_sent_and_the_rest_is_kept() -> None:
    sent, residual = compress.compress(UPDATE, None, "topk", 0.4)
    assert (sent["index"].tolist(), sent["value"].tolist()) == ([4, 5, 0], [4, -4, 3])
    assert flat(residual).tolist() == [0, -1, 0.5, 0, 0, 0, 2, -0.25]
    again, _ = compress.compress(UPDATE, residual, "topk", 0.15)
    assert (again["index"].tolist(), again["value"].tolist()) == ([4], [4])
    assert compress.sent_bytes(sent) == 24


@pytest.mark.parametrize(
    ("method", "share", "size"), [("none", 1, 2600), ("topk", 0.1, 520), ("topk", 0.01, 48), ("int8", 1, 654)]
)
def test_bytes_of_an_update(method: str, share: float, size: int) -> None:
    delta = {"w": VECTORS["a"]}
    sent, residual = compress.compress(delta, None, method, share)
    assert compress.sent_bytes(sent) == size
    restored = compress.restore(sent, delta, method)
    assert np.array_equal(restored["w"] + residual["w"], delta["w"]) or method == "int8"
    assert np.allclose(restored["w"] + residual["w"], delta["w"], atol=1e-7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compress.compress(UPDATE, None, "zip"), "there is no compression 'zip'"),
        (lambda: compress.top_k(UPDATE, 0), "topk 0: expected a share"),
        (lambda: compress.int8({"w": np.array([np.nan])}), "NaN or infinity cannot be quantized"),
        (
            lambda: compress.restore({"w": np.zeros(1)}, UPDATE, "topk"),
            "compressed by 'topk' has the arrays w",
        ),
        (
            lambda: compress.restore({"index": np.array([8]), "value": np.array([1.0])}, UPDATE, "topk"),
            "indices outside a model of 8 numbers",
        ),
        (lambda: privacy.clip(UPDATE, 0), "clip 0: expected a length above 0"),
        (lambda: privacy.clip({"w": np.array([np.inf])}, 1), "NaN or infinity cannot be clipped"),
        (lambda: privacy.epsilon(0, 0.1, 3, 1e-5), "noise 0, rate 0.1, steps 3, delta 1e-05: out of range"),
        (lambda: privacy.epsilon(1, 0.1, 3, 1e-5, "x"), "there is no accountant 'x'"),  # type: ignore[arg-type] -- on purpose
        (lambda: masks.round_keys(b"short", ABOUT), "needs at least 32 bytes, it has 5"),
        (lambda: masks.fixed(np.array([4000.0]), 10), "is not within ±3276.8"),
        (lambda: masks.fixed(np.array([np.nan]), 10), "is not within"),
        (lambda: masks.pair_key(bytes(32), bytes(31), ABOUT), "a key of the round cannot be used"),
        (lambda: masks.pair_key(bytes(32), bytes(32), ABOUT), "a key of the round cannot be used"),
        (lambda: shares.dealt(bytes(65), 2, 3, lambda index: bytes(66)), "at most 64 bytes, it has 65"),
        (lambda: shares.dealt(bytes(3), 4, 3, lambda index: bytes(66)), "cannot deal 3 shares of which 4"),
        (lambda: shares.joined({1: bytes(66)}, 2, 32), "1 shares are too few: 2 are needed"),
        (lambda: shares.joined({1: b"\1" * 66, 2: bytes(66)}, 2, 32), "do not belong together"),
    ],
)
def test_refused(call: Any, message: str) -> None:
    with pytest.raises(FinalError, match=message):
        call()


def sum_of(survivors: tuple[str, ...]) -> Any:
    updates = {site: masks.masked(site, VECTORS[site], KEYS[site], PUBLICS, ABOUT) for site in survivors}
    gone = [site for site in SITES if site not in survivors]
    return masks.unmasked(
        updates,
        {site: KEYS[site].seed for site in survivors},
        {site: KEYS[site].private for site in gone},
        PUBLICS,
        ABOUT,
    )


@pytest.mark.parametrize(
    "survivors", [each for count in range(1, 6) for each in combinations(SITES, count)], ids="".join
)
def test_masks_cancel_for_every_set_of_survivors(survivors: tuple[str, ...]) -> None:
    plain = sum(np.round(VECTORS[site].astype(float) * 2**16) for site in survivors) / 2**16
    assert np.array_equal(sum_of(survivors), plain)
    assert np.abs(sum_of(survivors) - sum(VECTORS[site].astype(float) for site in survivors)).max() <= 6e-5


def test_one_masked_update_says_nothing() -> None:
    """Also to one who has the private keys of all others, because of its own mask."""
    masked = masks.masked("a", VECTORS["a"], KEYS["a"], PUBLICS, ABOUT)
    known = sum(
        masks.pair_mask(other, "a", KEYS[other].private, PUBLICS["a"], ABOUT, 650) for other in "bcde"
    )
    for seen in (masked, masked + known):
        values = seen.view(np.int32).astype(float)
        assert abs(np.corrcoef(values, VECTORS["a"])[0, 1]) < 0.15
        counts, _ = np.histogram(seen.astype(float), 16, (0, 2**32))
        assert ((counts - 650 / 16) ** 2 / (650 / 16)).sum() < 45  # chi-squared, 15 degrees of freedom


def test_a_site_is_not_exposed() -> None:
    updates = {site: masks.masked(site, VECTORS[site], KEYS[site], PUBLICS, ABOUT) for site in "abcd"}
    seeds = {site: KEYS[site].seed for site in "abcd"}
    with pytest.raises(FinalError, match="private keys of e; it has those of a, b, c, d and a, e"):
        masks.unmasked(updates, seeds, {site: KEYS[site].private for site in "ae"}, PUBLICS, ABOUT)


def test_keys_of_a_round_repeat_and_differ_between_rounds() -> None:
    assert masks.round_keys(b"a" * 32, ABOUT) == KEYS["a"]
    other = masks.round_keys(b"a" * 32, "run-1 round 4")
    assert not {other.private, other.seed, other.public} & {
        KEYS["a"].private,
        KEYS["a"].seed,
        KEYS["a"].public,
    }


def test_shares() -> None:
    secret = bytes(range(200, 232))
    dealt = shares.dealt(secret, 3, 5, lambda index: masks.derived(b"x" * 32, f"mix {index}", 66))
    for chosen in combinations(dealt.items(), 3):
        assert shares.joined(dict(chosen), 3, 32) == secret
    assert shares.joined(dict(list(dealt.items())[:3]), 3, 32) == secret
    assert len({*dealt.values()}) == 5


@pytest.mark.parametrize(("count", "threshold"), [(1, 2), (2, 2), (3, 2), (5, 4), (9, 6), (10, 7)])
def test_threshold(count: int, threshold: int) -> None:
    assert masks.threshold_of([str(site) for site in range(count)]) == threshold


def test_clip() -> None:
    short = privacy.clip(UPDATE, 1.0)
    assert norm(short) == pytest.approx(1, abs=1e-6)
    assert privacy.clip(UPDATE, 100.0)["w"].tolist() == UPDATE["w"].tolist()
    zero = {"w": np.zeros(2, np.float32)}
    assert privacy.clip(zero, 1.0)["w"].tolist() == [0, 0]


def test_noise_has_its_deviation() -> None:
    updates = [{"w": np.zeros(20_000)} for _ in range(4)]
    mean = privacy.noisy_mean(updates, 2.0, 0.5, np.random.default_rng(1))
    assert mean["w"].std() == pytest.approx(0.25, rel=0.03)


@pytest.mark.parametrize(
    ("rate", "noise", "steps", "delta", "rdp", "pld"),
    [
        (32 / 1437, 1.1, 450, 1e-5, 2.749388, 2.45),
        (0.01, 1.0, 1000, 1e-5, 2.1014, None),
        (0.1, 2.0, 300, 1e-4, 3.9917, None),
    ],
)
def test_epsilon(rate: float, noise: float, steps: int, delta: float, rdp: float, pld: float | None) -> None:
    """That of Opacus' and dp-accounting's own accountants."""
    assert privacy.epsilon(noise, rate, steps, delta) == pytest.approx(rdp, rel=1e-4)
    if pld is not None:
        assert privacy.epsilon(noise, rate, steps, delta, "pld") == pytest.approx(pld, abs=0.01)
    assert privacy.epsilon(noise, rate, 0, delta) == 0


def message(tensors: Tensors = UPDATE, **changed: Any) -> bytes:
    about: dict[str, Any] = {"run": "run-1", "round_": 3, "site": "a", "samples": 144, **changed}
    return signatures.statement(tensors, **about)


FORGED = {
    "a bit of a number": message({**UPDATE, "b": UPDATE["b"] + np.float32(1e-7)}),
    "another run": message(run="run-2"),
    "another round": message(round_=4),
    "another site": message(site="b"),
    "another weight": message(samples=1440),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_forged_update_is_noticed(forged: bytes) -> None:
    secret = bytes(range(32))
    signature, public = signatures.signed(secret, message()), signatures.public_key(secret)
    assert signatures.is_signed(public, signature, message())
    assert not signatures.is_signed(public, signature, forged)
    assert not signatures.is_signed(signatures.public_key(bytes(32)), signature, message())


@pytest.mark.parametrize(
    ("public", "signature"), [(b"", bytes(64)), (bytes(32), b""), (bytes(32), bytes(64))]
)
def test_what_cannot_be_a_signature(public: bytes, signature: bytes) -> None:
    assert not signatures.is_signed(public, signature, message())


def test_a_library_that_is_missing_has_a_name() -> None:
    with pytest.raises(FinalError, match=r"no_such_library is not installed[\s\S]*\.\[fed\]"):
        library("no_such_library.part", "fed")


def test_neither_client_nor_command_line_loads_the_agents() -> None:
    code = (
        "import sys, perdure.client, perdure.cli.main, perdure.workflows.graph_workflow, perdure.worker, "
        "perdure.agents.catalog as c; c.catalog(); "
        "print([m for m in sys.modules if m.startswith('perdure.agents.distributed')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
