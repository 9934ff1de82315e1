"""The ratio of two times, and the limits that its rounds give."""

import numpy as np

from onnxbound.compressors.evaluate import ratio_of


def test_the_median_lies_between_the_limits_as_often_as_said() -> None:
    random, inside, times = np.random.default_rng(0), 0, 4000
    for _ in range(times):
        ratios = 1.3 * np.exp(np.clip(random.standard_cauchy(9), -500, 500))  # median 1.3, no mean
        median, low, high = ratio_of(np.stack([np.ones(9), ratios], axis=1))
        assert low <= median <= high
        inside += low <= 1.3 <= high
    assert abs(inside / times - (1 - 20 / 512)) < 4 * np.sqrt(0.961 * 0.039 / times)


def test_noise_that_both_share_cancels() -> None:
    machine = np.array([1.0, 5, 2, 9, 3, 4, 8, 7, 6])
    assert ratio_of(np.stack([machine, 2 * machine], axis=1)) == (2, 2, 2)
