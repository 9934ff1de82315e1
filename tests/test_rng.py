"""The random numbers are a contract: the same on every machine and in every version."""

import hashlib

import numpy as np
import pytest

from onnxbound.rng import GENERATOR, normal_noise, select_rows


def test_noise_is_pinned() -> None:
    """What the generator's name stands for; if this changes, so must the name."""
    assert GENERATOR == "philox4x64-10/normal16-v1"
    noise = normal_noise(seed=3, layer=2, rows=np.array([0, 41]), probe=1, size=1003)
    quantised = np.round(noise.astype(np.float64) * 1e5).astype("<i4")
    assert hashlib.sha256(quantised.tobytes()).hexdigest()[:16] == "ad59d2724b5eee58"


def test_noise_depends_on_row_layer_probe_and_seed_and_on_nothing_else() -> None:
    rows = np.array([4, 9, 2])
    noise = normal_noise(0, 1, rows, 0, 50)
    np.testing.assert_array_equal(normal_noise(0, 1, rows[::-1], 0, 50), noise[::-1])
    np.testing.assert_array_equal(normal_noise(0, 1, rows[1:2], 0, 17), noise[1:2, :17])
    for other in (normal_noise(1, 1, rows, 0, 50), normal_noise(0, 2, rows, 0, 50), normal_noise(0, 1, rows, 1, 50)):
        assert np.corrcoef(noise.ravel(), other.ravel())[0, 1] ** 2 < 0.2
    assert not np.array_equal(noise[0], noise[1])


def test_noise_is_standard_normal() -> None:
    """10^6 numbers: moments within five standard errors."""
    noise = normal_noise(5, 1, np.arange(100), 0, 10_000).astype(np.float64).ravel()
    for power, moment, deviation in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(noise**power) - moment) < 5 * np.sqrt(deviation / noise.size)
    assert abs(np.mean(noise[::2] * noise[1::2])) < 5 / np.sqrt(noise.size / 2)


def test_selected_rows_are_pinned() -> None:
    assert select_rows(seed=0, total=1000, count=5).tolist() == [13, 474, 513, 535, 615]
    assert select_rows(seed=0, total=1000, count=5, stream=1).tolist() != [13, 474, 513, 535, 615]


@pytest.mark.parametrize("count", [0, 1, 10, 20, 25])
def test_rows_are_selected_once_each(count: int) -> None:
    rows = select_rows(7, 20, count)
    assert len(rows) == min(count, 20)
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert set(rows.tolist()) <= set(range(20))


def test_every_row_is_selected_alike() -> None:
    """2,000 samples of 5 of 20: each row 500 times, within five standard deviations."""
    counts = np.bincount(np.concatenate([select_rows(seed, 20, 5) for seed in range(2000)]), minlength=20)
    assert np.abs(counts - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)
