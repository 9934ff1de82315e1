"""Units as a set: which may change places, that their order says nothing, and how much shorter a code becomes."""

from dataclasses import replace
from itertools import permutations
from math import factorial, log2
from pathlib import Path

import numpy as np
import pytest

import onnxbound
from onnxbound.codec import units
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, decode, encode
from onnxbound.codec.tensors import Levels
from tests.codec.test_network_code import logits, rounded, rows_for
from tests.nets import random_mlp

FIXTURES = Path("fixtures")


def code_of(path: Path, share: float = 2.0) -> NetworkCode:
    found = describe(onnxbound.load(path))
    return NetworkCode(found.architecture, tuple(rounded(values, share) for values in found.tensors.values()))


def shuffled(code: NetworkCode, seed: int) -> NetworkCode:
    """The same network with its units in another order."""
    random, parts = np.random.default_rng(seed), list(code.parts)
    for unit_set in units.unit_sets(code.architecture):
        order = random.permutation(unit_set.count)
        for place in unit_set.rows:
            parts[place] = units.with_rows(parts[place], order)
        for place in unit_set.columns:
            parts[place] = units.with_columns(parts[place], order)
    return replace(code, parts=tuple(parts))


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("certified/mnist_small", [8, 12]),
        ("mnist_mlp", [64, 32]),
        ("certified/cifar10_narrow", [8, 12, 16]),
        ("cifar10_resnet", [12, 12, 24, 24]),
        ("zoo/models/torch_squeeze_excite_ts17", None),
        ("zoo/models/torch_prelu_ts17", [16]),
        ("zoo/models/torch_batch_norm_ts17", None),
    ],
)
def test_the_order_of_units_says_nothing(name: str, counts: list[int] | None) -> None:
    """The shuffled net computes the same, and both are one file: ties by Add, pixels behind a Flatten, slopes."""
    code = code_of(FIXTURES / f"{name}.onnx")
    sets = units.unit_sets(code.architecture)
    assert counts is None or [found.count for found in sets] == counts
    assert sets
    rows, other = rows_for(code), shuffled(code, 3)
    expected = logits(code, rows)
    np.testing.assert_allclose(logits(other, rows), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(logits(decode(encode(code)), rows), expected, rtol=1e-4, atol=1e-4)


def test_the_same_file_whatever_the_order(tmp_path: Path) -> None:
    """Where no two units look alike."""
    code = code_of(random_mlp(tmp_path / "net.onnx", (20, 9, 7, 4)), share=0.05)
    assert len({encode(shuffled(code, seed)) for seed in range(6)}) == 1


@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (2, 3), (1, 4, 2), (5,)])
def test_ranks_count_through_all_arrangements(counts: tuple[int, ...]) -> None:
    groups = [group for group, count in enumerate(counts) for _ in range(count)]
    every = sorted(set(permutations(groups)))
    assert units.arrangements(np.array(counts)) == len(every)
    for place, sequence in enumerate(every):
        assert units.rank(np.array(sequence), np.array(counts)) == place
        assert tuple(units.unrank(place, np.array(counts))) == sequence


def test_a_set_is_shorter_by_the_logarithm_of_its_orders(tmp_path: Path) -> None:
    """Signs at random, sizes alike but for one per unit: log2 h! to some bytes; units that look alike give none."""
    h = 40
    architecture = describe(onnxbound.load(random_mlp(tmp_path / "net.onnx", (60, h, 4)))).architecture
    random = np.random.default_rng(2)
    weight = random.integers(0, 2, (h, 60)) * 2 - 1
    distinct = weight.copy()
    for unit in range(h):
        distinct[unit, 10 + unit] *= 2
    last = random.integers(0, 2, (4, h)) * 2 - 1
    for first, orders in ((distinct, factorial(h)), (weight, 1)):
        levels = (first, np.zeros(h, np.int64), last, np.zeros(4, np.int64))[: len(architecture.holes)]
        if len(architecture.holes) == 2:
            levels = (first, last)
        code = NetworkCode(architecture, tuple(Levels(0.125, part) for part in levels))
        whole = 8 * len(encode(replace(code, difference=True)))
        saved = whole - 8 * len(encode(code))
        assert log2(orders) - 24 <= saved <= log2(orders) + 24


def test_a_large_layer_is_no_set(tmp_path: Path) -> None:
    """The time of a rank grows with the square of the set."""
    nets = [random_mlp(tmp_path / f"{more}.onnx", (3, units.LARGEST_SET + more, 2)) for more in (0, 1)]
    sets = [units.unit_sets(describe(onnxbound.load(net)).architecture) for net in nets]
    assert [[found.count for found in every] for every in sets] == [[units.LARGEST_SET], []]
