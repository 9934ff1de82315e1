"""The range coder: what it writes, that it reads it back, and that its strings are prefix-free and short."""

import re
from itertools import pairwise
from math import log2
from pathlib import Path

import numpy as np
import pytest

from onnxbound.codec.range_coder import Decoder, Encoder, Malformed

VECTORS = (
    ([], "0"),
    ([(1, 32768)], "00"),
    ([(0, 32768)], "10"),
    ([(0, 1)] * 100, "01"),
    ([(1, 1)], "00000000000000000"),
    ([(0, 65535)] * 3, "11111111111111111111111111111110111111111"),
    ([(1, 40000), (0, 20000), (1, 65535), (0, 300), (1, 32768)] * 4, "0011110100"),
)
"""(decision, probability of a 1 in units of 2^-16) and the bits: part of the format, they never change."""


PAGE = Path(__file__).parents[2] / "docs" / "certificate-format.md"


def encoded(decisions: list[tuple[int, int]]) -> str:
    encoder = Encoder()
    for bit, probability in decisions:
        encoder.encode(bit, probability)
    return encoder.finish()


def test_the_vectors_of_the_page() -> None:
    table = PAGE.read_text().split("| decisions", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    for line in table:
        said, bits = line.strip("| ").split(" | ")
        decisions = [(int(bit), int(p)) for bit, p in re.findall(r"\((\d), (\d+)\)", said)]
        assert encoded(decisions * (4 if "four times" in said else 1)) == bits.strip("`"), said
    assert len(table) == 4


def decoded(data: str, probabilities: list[int]) -> list[int]:
    decoder = Decoder(data)
    return [decoder.decode(p) for p in probabilities]


def random_decisions(seed: int) -> list[tuple[int, int]]:
    """Up to 400 decisions, likely and unlikely ones."""
    generator = np.random.Generator(np.random.Philox(seed))
    count = int(generator.integers(400))
    probabilities = generator.choice([1, 2, 100, 32768, 65534, 65535, int(generator.integers(1, 65536))], count)
    likely = generator.random(count) < probabilities / 65536
    surprising = generator.random(count) < 0.05
    return [(int(a ^ b), int(p)) for a, b, p in zip(likely, surprising, probabilities, strict=True)]


@pytest.mark.parametrize(("decisions", "expected"), VECTORS)
def test_published_vectors(decisions: list[tuple[int, int]], expected: str) -> None:
    assert encoded(decisions) == expected
    assert decoded(expected, [p for _, p in decisions]) == [bit for bit, _ in decisions]


@pytest.mark.parametrize("seed", range(300))
def test_every_continuation_decodes_to_the_same(seed: int) -> None:
    decisions = random_decisions(seed)
    data = encoded(decisions)
    for behind in ("", "1" * 48, "0" * 48, "01101" * 10):
        assert decoded(data + behind, [p for _, p in decisions]) == [bit for bit, _ in decisions]


@pytest.mark.parametrize("seed", range(300))
def test_length_is_the_information(seed: int) -> None:
    """Within 2 bits and 0.1 %."""
    decisions = random_decisions(seed)
    information = -sum(log2((p if bit else 65536 - p) / 65536) for bit, p in decisions)
    assert len(encoded(decisions)) <= 1.001 * information + 2


def test_no_string_is_the_beginning_of_another() -> None:
    """All 2^12 sequences of 12 decisions, under three models."""
    for model in ([32768] * 12, [60000] * 12, [1000, 65535, 32768, 7] * 3):
        strings = sorted(encoded([(n >> i & 1, model[i]) for i in range(12)]) for n in range(1 << 12))
        assert len(set(strings)) == 1 << 12
        assert not any(b.startswith(a) for a, b in pairwise(strings))
        assert sum(2.0 ** -len(s) for s in strings) <= 1


def test_carries_run_through() -> None:
    """Long runs of 0xff that a late carry turns over."""
    decisions = [(0, 65535)] * 40 + [(0, 1)] * 3 + [(1, 32768)] * 9
    for late in range(1, 60):
        sequence = decisions + [(0, 32768)] * late
        assert decoded(encoded(sequence), [p for _, p in sequence]) == [bit for bit, _ in sequence]


def test_a_decoder_goes_no_further_than_a_code_can_lead_it() -> None:
    with pytest.raises(Malformed, match="too early"):
        decoded("1010", [32768] * 100)
