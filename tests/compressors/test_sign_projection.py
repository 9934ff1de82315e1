"""Products with the helper string's signs: against the table itself, and the same bits however they are computed."""

import hashlib

import numpy as np
import pytest

from onnxbound.compressors.sign_projection import combine, project, signs
from onnxbound.rng import SIGNS, sign_words


def integers(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1000, 1000, size).astype(np.float64)


def test_words_are_pinned() -> None:
    """What the name stands for; if this changes, so must the name."""
    assert SIGNS == "philox4x64-10/signs-v1"
    words = sign_words(seed=3, layer=2, strip=1, first=5, count=2)
    assert words.shape == (2, 512)
    assert hashlib.sha256(words.astype("<u8").tobytes()).hexdigest()[:16] == "7899a51aeab3b702"


def test_any_part_of_the_words_is_found_alone() -> None:
    whole = sign_words(7, 1, 3, 0, 6)
    np.testing.assert_array_equal(sign_words(7, 1, 3, 4, 2), whole[4:])


@pytest.mark.parametrize(("count", "size"), [(1, 1), (7, 9), (70, 5000), (8, 4096), (64, 8200)])
def test_products_equal_those_with_the_table(count: int, size: int) -> None:
    table, entries, coefficients = signs(count, size, seed=3, layer=2), integers(size), integers(count, 1)
    assert set(np.unique(table)) <= {-1.0, 1.0}
    np.testing.assert_array_equal(project(entries, count, seed=3, layer=2), table @ entries)
    np.testing.assert_array_equal(combine(coefficients, size, seed=3, layer=2), table.T @ coefficients)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("block", [1, 3, 512])
def test_the_same_bits_for_any_threads_and_blocks(threads: int, block: int) -> None:
    """Entries of full width, so that a rounded sum would show."""
    entries = np.random.default_rng(2).integers(-(2**38), 2**38, 9000).astype(np.float64)
    coefficients = np.random.default_rng(3).integers(-(2**44), 2**44, 100).astype(np.float64)
    exact = signs(100, 9000, seed=1, layer=4).astype(np.int64)
    found = project(entries, 100, seed=1, layer=4, threads=threads, block=block)
    np.testing.assert_array_equal(found, exact @ entries.astype(np.int64))
    found = combine(coefficients, 9000, seed=1, layer=4, threads=threads, block=block)
    np.testing.assert_array_equal(found, exact.T @ coefficients.astype(np.int64))


def test_what_would_be_rounded_is_refused() -> None:
    for values in (np.full(3, 2.0**53), np.array([0.5]), np.array([np.nan])):
        with pytest.raises(ValueError, match="not integers whose sums are exact"):
            project(values, 4, seed=0, layer=1)


def test_signs_are_fair_and_uncorrelated() -> None:
    """800,000 signs: mean, neighbours in each direction, seeds and layers, each within five standard deviations."""
    table = signs(800, 1000, seed=0, layer=1)
    others = [signs(800, 1000, seed=1, layer=1), signs(800, 1000, seed=0, layer=2)]
    products = [
        table[1:] * table[:-1],
        table[:, 1:] * table[:, :-1],
        table[8:] * table[:-8],
        *(table * o for o in others),
    ]
    for values in (table, *products):
        assert abs(values.mean()) < 5 / np.sqrt(values.size)
