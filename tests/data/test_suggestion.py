"""Everything that does not fit is found at once, with the parameters under which all of it would."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import DataError
from tests.data.conftest import MakeNetwork

IMAGES = np.random.default_rng(4).integers(0, 256, (12, 5, 6, 3), np.uint8)
LABELS = np.arange(12) % 4
HOW = {"scale", "mean", "std", "layout"}


def suggested(data: Any, network: Any, **options: Any) -> tuple[DataError, dict[str, Any]]:
    with pytest.raises(DataError) as caught:
        open_rows(data, network, **options)
    return caught.value, caught.value.suggestion


def reopened(data: Any, network: Any, suggestion: dict[str, Any], **options: Any) -> None:
    """What was suggested makes the rows fit."""
    how = Preprocessing(**{name: value for name, value in suggestion.items() if name in HOW})
    others = {name: value for name, value in suggestion.items() if name not in HOW}
    assert open_rows(data, network, how, **options | others).count == 12


@pytest.mark.parametrize(
    ("arrays", "suggestion"),
    [
        ({"x": IMAGES, "y": LABELS}, {"layout": "nhwc", "scale": 1 / 255}),
        ({"x": IMAGES, "y": LABELS + 1}, {"layout": "nhwc", "scale": 1 / 255, "labels_start": 1}),
        ({"x": IMAGES / 255, "y": LABELS - 1}, {"layout": "nhwc", "labels_start": -1}),
        ({"x": IMAGES.reshape(12, 90), "y": LABELS}, {"layout": "flat", "scale": 1 / 255}),
        (
            {"pictures": IMAGES, "names": np.array(["a"] * 12), "classes": LABELS + 1},
            {"x_key": "pictures", "y_key": "classes", "layout": "nhwc", "scale": 1 / 255, "labels_start": 1},
        ),
        (
            {"a_train": IMAGES, "a_test": IMAGES, "b_train": LABELS, "b_test": LABELS},
            {"x_key": "a_train", "y_key": "b_train", "layout": "nhwc", "scale": 1 / 255},
        ),
    ],
)
def test_all_at_once(
    tmp_path: Path, network: MakeNetwork, arrays: dict[str, np.ndarray], suggestion: dict[str, Any]
) -> None:
    net = network(3, 5, 6)
    np.savez(tmp_path / "d.npz", **arrays)
    for data in (tmp_path / "d.npz", arrays):
        error, found = suggested(data, net)
        assert found == suggestion
        assert len(error.problems) == len(suggestion)
        assert error.code == ("data-key" if "x_key" in suggestion else "data-shape")
        reopened(data, net, found)


def test_what_was_said_and_does_not_fit_is_replaced(network: MakeNetwork) -> None:
    data = (IMAGES, LABELS)
    wrong = Preprocessing(1 / 255, 0.5, 0.5, "nchw")
    assert suggested(data, network(5, 6, 3, input_type=TensorProto.UINT8), preprocessing=wrong)[1] == {
        "scale": None,
        "mean": (0.0,),
        "std": (1.0,),
    }
    assert suggested(data, network(3, 5, 6), preprocessing=wrong)[1] == {"layout": "nhwc"}
    assert suggested(data, network(5, 6, 3), preprocessing=Preprocessing(1.0), labels_start=1)[1] == {"labels_start": 0}


@pytest.mark.parametrize(
    ("data", "problems"),
    [
        ((IMAGES[:, :4], LABELS + 1), 2),
        ((IMAGES, LABELS * 3), 3),
        ((IMAGES, LABELS[:7]), 3),
        ({"x": IMAGES, "y": LABELS, "Y": LABELS}, 1),
        ({"x": IMAGES.astype(complex), "y": LABELS + 1}, 3),
    ],
)
def test_where_something_cannot_be_mended_nothing_is_suggested(network: MakeNetwork, data: Any, problems: int) -> None:
    error, suggestion = suggested(data, network(3, 5, 6))
    assert suggestion == {}
    assert len(error.problems) == problems


def test_a_wrong_key_is_one_of_several_problems(network: MakeNetwork) -> None:
    data = {"pictures": IMAGES, "y": LABELS + 1}
    error, suggestion = suggested(data, network(3, 5, 6), x_key="images")
    assert suggestion == {"x_key": "pictures", "layout": "nhwc", "scale": 1 / 255, "labels_start": 1}
    assert error.problems[0].where == '`x_key="images"`'
    assert error.message == "`data` has no array 'images'."


def test_the_suggestion_travels_with_the_error(network: MakeNetwork) -> None:
    error, suggestion = suggested((IMAGES, LABELS), network(3, 5, 6))
    assert pickle.loads(pickle.dumps(error)).suggestion == suggestion == {"layout": "nhwc", "scale": 1 / 255}


def test_columns(tmp_path: Path, network: MakeNetwork) -> None:
    pa = pytest.importorskip("pyarrow", reason="the extra parquet is not installed")
    with pa.ipc.new_file(
        str(tmp_path / "d.arrow"), (table := pa.table({"a": LABELS / 2, "k": LABELS + 1})).schema
    ) as f:
        f.write_table(table)
    assert suggested(tmp_path / "d.arrow", network(1))[1] == {"y_key": "k", "labels_start": 1}
