"""A file of conventions is read back as it was written, whatever stands in it, and says what is wrong with it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxbound.data.conventions import SCHEMA, Conventions, read_conventions
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import OutputError, UsageError
from onnxbound.graph.load import load
from tests.nets import random_mlp

FINITE = st.floats(allow_nan=False, allow_infinity=False)
NUMBERS = st.lists(FINITE, min_size=1, max_size=4).map(tuple)
NOT_ZERO = FINITE.filter(lambda value: value != 0)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.one_of(st.booleans(), st.floats(allow_nan=False), st.integers(-(2**63), 2**63 - 1))
EVERY = st.builds(
    Conventions,
    scale=st.none() | NOT_ZERO,
    mean=st.none() | NUMBERS,
    std=st.none() | st.lists(NOT_ZERO, min_size=1, max_size=4).map(tuple),
    layout=st.sampled_from([None, "nchw", "nhwc", "flat"]),
    labels_start=st.none() | st.integers(-(2**31), 2**31 - 1),
    x_key=st.none() | TEXT,
    y_key=st.none() | TEXT,
    logits=st.none() | TEXT,
    fixed=st.dictionaries(TEXT, VALUES | st.lists(st.lists(FINITE, min_size=2, max_size=2), min_size=1, max_size=3)),
)


@given(EVERY)
def test_what_is_written_is_read_to_the_bit(tmp_path_factory: Any, conventions: Conventions) -> None:
    path = tmp_path_factory.mktemp("c") / "model.toml"
    conventions.write(path)
    found = read_conventions(path)
    assert found == conventions
    assert repr(found) == repr(conventions)  # tells 1 from 1.0 and True, and -0.0 from 0.0
    assert tomllib.loads(path.read_text(encoding="utf-8"))["schema"] == SCHEMA


def test_as_people_write_it(tmp_path: Path) -> None:
    (tmp_path / "q.toml").write_text('scale = "1/255"\nmean = "0.5,1/4"\n')
    assert read_conventions(tmp_path / "q.toml") == Conventions(scale=1 / 255, mean=(0.5, 0.25))
    (tmp_path / "m.toml").write_text("scale = 1\nmean = 0.5\nstd = [1, 2.5]\n[fixed]\nphase = false\nmask = [[1, 0]]\n")
    found = read_conventions(tmp_path / "m.toml")
    assert found == Conventions(scale=1.0, mean=(0.5,), std=(1.0, 2.5), fixed={"phase": False, "mask": ((1, 0),)})
    held = found.of_model()["fixed"]
    assert (held["phase"].dtype, held["mask"].shape) == (np.bool_, (1, 2))


@pytest.mark.parametrize(
    ("content", "problems"),
    [
        (b"scale = ", ["the file: it is not TOML"]),
        (b"\xff", ["the file: it is not TOML"]),
        (b"a = " + b"[" * 100_000, ["the file: it is not TOML"]),
        (b"labels_start = " + b"9" * 5000, ["the file: it is not TOML"]),
        (
            b"scales = 1\nmine = 2",
            ["scales: there is no such key: write scale", "mine: there is no such key"],
        ),
        (b'scale = "1/0"', ["scale: it is '1/0': expected a number other than 0, or a text such as \"1/255\""]),
        (b"scale = 0", ["scale: it is 0"]),
        (b"scale = true", ["scale: it is True"]),
        (b"scale = inf\nmean = []\nstd = [1, 0.0]", ["scale: it is inf", "mean: it is []", "std: it is [1, 0.0]"]),
        (b"mean = " + b"9" * 400, ["mean: it is 999"]),
        (b'mean = [1, "a"]', ["mean: it is [1, 'a']: expected a number, or a list of numbers"]),
        (b'layout = "nhcw"', ['layout: it is \'nhcw\': expected "nchw", "nhwc" or "flat"']),
        (b"layout = []", ["layout: it is []"]),
        (b"labels_start = 1.0", ["labels_start: it is 1.0: expected an integer"]),
        (
            b"x_key = 1\ny_key = 1979-05-27\nlogits = []",
            ["x_key: it is 1", "y_key: it is d", "logits: it"],
        ),
        (b"fixed = 1", ["fixed: it is 1: expected a table"]),
        (b'fixed = {a = "b"}', ["fixed: it is {'a': 'b'}"]),
        (b"fixed = {a = [[1], [1, 2]]}", ["fixed: it is"]),
        (
            b'schema = "onnxbound.report/1"',
            ['schema: it is the schema of another file: write "onnxbound.conventions/1"'],
        ),
    ],
)
def test_what_is_wrong_is_listed(tmp_path: Path, content: bytes, problems: list[str]) -> None:
    path = tmp_path / "m.toml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(f"{path} is not a file of conventions.")) as caught:
        read_conventions(path)
    said = [f"{problem.where}: {problem.why}: {problem.do}" for problem in caught.value.problems]
    assert caught.value.code == "conventions-invalid"
    assert [
        text.removeprefix(f"{path}: ")[: len(start)] for text, start in zip(said, problems, strict=True)
    ] == problems
    assert all(len(text) < 300 for text in said)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "absent.toml", "No such file"), (tmp_path, "it is a folder")):
        with pytest.raises(UsageError) as caught:
            read_conventions(path)
        assert why in caught.value.problems[0].why
    conventions = Conventions(scale=0.5)
    conventions.write(tmp_path / "m.toml")
    with pytest.raises(OutputError, match="exists"):
        conventions.write(tmp_path / "m.toml")
    conventions.write(tmp_path / "m.toml", force=True)


def test_what_is_said_beside_the_file_wins() -> None:
    file = Conventions(scale=0.5, mean=0.25, layout="nhwc", x_key="x", fixed={"a": 1})  # type: ignore[arg-type]
    assert file.but(scale=None, x_key="y", labels_start=0, fixed={}) == Conventions(
        scale=0.5, mean=(0.25,), layout="nhwc", x_key="y", labels_start=0
    )
    with pytest.raises(UsageError, match="`std` must not contain 0"):
        Conventions(std=(0.0,))


def test_a_net_and_its_rows_are_opened_by_them(tmp_path: Path) -> None:
    path = random_mlp(tmp_path / "n.onnx", [6, 5, 4])
    x, y = np.arange(180).reshape(30, 6), np.arange(30) % 4 + 1
    said = Conventions(scale=1 / 255, mean=(0.5,), std=(0.25,), labels_start=1, x_key="a", y_key="b", logits="logits")
    said.write(tmp_path / "m.toml")
    found = read_conventions(tmp_path / "m.toml")
    network = load(path, **found.of_model())
    rows = open_rows({"a": x, "b": y}, network, **found.of_rows())
    assert (network.reading.logits, rows.labels_start) == ("logits", 1)
    assert rows.preprocessing == Preprocessing(1 / 255, 0.5, 0.25)
    assert rows.preprocessing.bits == Preprocessing(1 / 255, 0.5, 0.25).bits == 64
    np.testing.assert_array_equal(rows.labels, y - 1)
