"""Work that fails, that takes its process with it, and that does neither; each is its own recipe."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from onnxbound.errors import ModelError, Problem
from onnxbound.run.partitions import Partition


class Summing:
    """Adds up the entries of `x`."""

    def run(self, stage: str, inputs: Any) -> Any:
        return {"sum": inputs["x"].sum(keepdims=True)}

    def recipe(self) -> Any:
        return self

    build = recipe

    def __repr__(self) -> str:
        return f"{type(self).__name__}({vars(self)})"


class Failing(Summing):
    """Fails as the package fails."""

    def run(self, stage: str, inputs: Any) -> Any:
        raise ModelError("model-mismatch", "no such thing", [Problem("here", "why", "do")])


class Dying(Summing):
    """Takes its process with it."""

    def run(self, stage: str, inputs: Any) -> Any:
        os._exit(1)


class DyingOnce(Summing):
    """Takes its process with it the first time, as a file remembers."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def run(self, stage: str, inputs: Any) -> Any:
        if not self.file.exists():
            self.file.write_text("")
            os._exit(1)
        return super().run(stage, inputs)


def parts(count: int = 1, start: int = 0) -> Any:
    """Partitions, the k-th with the numbers below k + 3."""
    return [(Partition("stage", k, k, k + 1), {"x": np.arange(k + 3)}) for k in range(start, start + count)]


def require_sums(found: Any, numbers: range) -> None:
    """Every partition came back once, with the sum of its own numbers."""
    sums = {partition.number: int(values["sum"][0]) for partition, values in found}
    assert sums == {k: sum(range(k + 3)) for k in numbers}
