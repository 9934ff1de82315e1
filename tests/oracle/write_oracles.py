"""Computes the stored oracle arrays: `python -m tests.oracle.write_oracles [MODEL ...]`.

Without names: all fixtures, and all public models that ONNXBOUND_TEST_DATA leads to.
"""

import sys
import time

import numpy as np
import torch

from tests.oracle.models import ARRAYS, Model, fixtures, public_models
from tests.oracle.oracle import measure
from tests.oracle.torch_net import load

ROWS = 8


def write(model: Model) -> None:
    index = np.arange(ROWS, dtype=np.int64)
    x, labels = model.rows(index)
    arrays = measure(load(model.path), torch.from_numpy(x).double(), labels, index)
    ARRAYS.mkdir(exist_ok=True)
    np.savez_compressed(ARRAYS / f"{model.name}.npz", **arrays)  # type: ignore[arg-type]  # keys taken for options


def main() -> None:
    wanted = sys.argv[1:]
    for model in fixtures() + public_models():
        if not wanted or model.name in wanted:
            start = time.perf_counter()
            write(model)
            print(f"{model.name:32} {time.perf_counter() - start:6.1f} s")  # noqa: T201


if __name__ == "__main__":
    main()
