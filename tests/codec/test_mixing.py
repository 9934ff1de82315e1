"""Mixed probabilities: integers that never change, both sides alike, and close to what the decisions are worth."""

from math import exp, log2

import numpy as np

from onnxbound.codec import mixing
from onnxbound.codec.mixing import Reader, Writer


def test_tables() -> None:
    """The logistic function to one unit of 2^-16, and its inverse to a step of the finer table."""
    squash, stretch = mixing._SQUASH, mixing._STRETCH
    assert len(squash) == 4095
    assert all(abs(p - 65536 / (1 + exp(-s / 256))) <= 1 for s, p in zip(range(-2047, 2048), squash, strict=True))
    assert all(squash[s + 2047] <= max(p, squash[0]) for p, s in zip(range(0, 65536, 16), stretch, strict=True))
    assert all(squash[min(s + 1, 2047) + 2047] > p for p, s in zip(range(0, 65500, 16), stretch, strict=False))


def stream(seed: int, count: int) -> list[tuple[int, list[tuple[int, ...]]]]:
    """Decisions that depend on their place modulo 7, among contexts that know it and contexts that do not."""
    generator = np.random.Generator(np.random.Philox(seed))
    chance = np.array([0.5, 0.02, 0.02, 0.3, 0.02, 0.9, 0.02])
    bits = generator.random(count) < chance[np.arange(count) % 7]
    return [(int(bit), [(0,), (n % 7,), (n % 5,)]) for n, bit in enumerate(bits)]


def test_reader_follows_writer() -> None:
    decisions = stream(1, 5000)
    writer = Writer()
    for bit, contexts in decisions:
        assert writer.code(bit, "kind", contexts) == bit
        writer.fixed(bit, 20_000)
    reader = Reader(writer.finish())
    for bit, contexts in decisions:
        assert reader.code(None, "kind", contexts) == bit
        assert reader.fixed(None, 20_000) == bit


def test_length_comes_close_to_the_entropy() -> None:
    """Within 8 % of what someone who knows the chances would need, the cost of learning them included."""
    writer = Writer()
    for bit, contexts in stream(2, 20_000):
        writer.code(bit, "kind", contexts)
    entropy = sum(-(p * log2(p) + (1 - p) * log2(1 - p)) for p in (0.5, 0.02, 0.02, 0.3, 0.02, 0.9, 0.02)) / 7
    assert 0.98 < len(writer.finish()) / (20_000 * entropy) < 1.08
