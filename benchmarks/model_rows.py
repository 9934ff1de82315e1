"""Training and test rows of the nets that several benchmarks run on."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from tests.oracle.models import Model, fixtures, full_data

ROWS, SEED = 10_000, 0

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


def rows_of(model: Model) -> tuple[Rows, Rows]:
    """Training rows, of the full set where the net was trained on it, and all test rows of the full set."""
    whole = full_data(model.dataset)
    assert whole is not None
    count = {"cifar10": 50_000}.get(model.dataset, 60_000)
    if model in fixtures():
        count = {"cifar10": 600}.get(model.dataset, 1_000)
    chosen = np.sort(np.random.default_rng(SEED).choice(count, min(ROWS, count), replace=False))
    return model.rows(chosen), replace(model, data=whole).rows(np.arange(10_000), "test")
