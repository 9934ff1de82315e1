"""An error about rows is completed by what the net does on a few of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound.data.conventions import Conventions
from onnxbound.data.open import open_rows
from onnxbound.data.rows import Rows
from onnxbound.errors import DataError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run import trial
from onnxbound.run.trial import tried

FIXTURES = Path(__file__).parents[2] / "fixtures"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
SHAPES = {"layout": "nhwc", "scale": 1 / 255}


def completed(model: str, data: str, rows: int = 300, change: Any = lambda x: x) -> tuple[DataError, Network]:
    network = load(FIXTURES / f"{model}.onnx")
    with np.load(FIXTURES / "data" / f"{data}.npz") as stored:
        arrays = change(stored["x_train"][:rows]), stored["y_train"][:rows].astype(np.int64)

    def reopen(suggested: Any) -> Rows:
        return open_rows(arrays, network, **Conventions(**suggested).of_rows())

    with pytest.raises(DataError) as caught:
        reopen({})
    return tried(caught.value, network, reopen), network


def test_mean_and_std_are_found_by_a_trial() -> None:
    error, _ = completed("cifar10_cnn", "cifar10")
    assert error.suggestion == {**SHAPES, "mean": MEAN, "std": STD}
    last = error.problems[-1]
    assert last.where == "a trial on 300 rows"
    assert last.why.startswith("the net errs on 7")
    assert last.why.endswith("and on about 0 % with this further change")
    assert last.do == "`mean=(0.4914, 0.4822, 0.4465)` and `std=(0.2471, 0.2435, 0.2616)`"


def test_nothing_is_added_where_nothing_is_missing() -> None:
    error, _ = completed("mnist_logistic", "mnist")
    assert error.suggestion == {"layout": "flat", "scale": 1 / 255}
    assert [problem.where for problem in error.problems] == ["`data[0]`"] * 2


def test_what_no_usual_numbers_mend_is_said() -> None:
    error, _ = completed("cifar10_cnn_init", "cifar10")
    assert error.suggestion == SHAPES
    assert error.problems[-1].why.endswith("and no usual value of `mean` and `std` makes this surely better")


def test_a_large_net_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_MOST_PARAMETERS", 1000)
    monkeypatch.setattr(trial, "Logits", lambda *_: pytest.fail("it was run"))
    error, _ = completed("cifar10_cnn", "cifar10")
    assert error.suggestion == SHAPES
    assert error.problems[-1].why == "they were not tried, since the net has more than 1,000 parameters"


def test_an_error_that_nothing_mends_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "Logits", lambda *_: pytest.fail("it was run"))
    error, _ = completed("cifar10_cnn", "cifar10", change=lambda x: x[:, :31])
    assert (error.suggestion, error.code) == ({}, "data-shape")


def test_rows_that_are_not_finite_are_not_what_is_said_first() -> None:
    error, _ = completed("cifar10_cnn", "cifar10", change=lambda x: np.where(x == x.max(), np.nan, x / 255))
    assert (error.suggestion, error.code) == ({"layout": "nhwc"}, "data-shape")
