"""Nonsense gets a message, a code and an exit code, and loses nothing."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx.external_data_helper import set_external_data

from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import mlp, model_of, random_mlp

Make = Callable[[Path], Path]


def _bytes(content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / "net.onnx").write_bytes(content)
        return folder / "net.onnx"

    return make


def _truncated(folder: Path) -> Path:
    path = random_mlp(folder / "net.onnx", [6, 5, 4])
    path.write_bytes(path.read_bytes()[:60])
    return path


def _opset(version: int) -> Make:
    def make(folder: Path) -> Path:
        path = random_mlp(folder / "net.onnx", [6, 5, 4])
        model = onnx.load(path)
        model.opset_import[0].version = version
        path.write_bytes(model.SerializeToString())
        return path

    return make


def _unsupported(folder: Path) -> Path:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Round", ["a"], ["b"], name="squash"),
        helper.make_node("MatMul", ["b", "v"], ["logits"]),
    ]
    constants = {"w": np.ones((6, 5), np.float32), "v": np.ones((5, 4), np.float32)}
    (folder / "net.onnx").write_bytes(model_of(nodes, constants, ["N", 6]).SerializeToString())
    return folder / "net.onnx"


def _external(location: str) -> Make:
    def make(folder: Path) -> Path:
        path = random_mlp(folder / "net.onnx", [6, 5, 4])
        model = onnx.load(path)
        set_external_data(model.graph.initializer[0], location)
        model.graph.initializer[0].ClearField("raw_data")
        path.write_bytes(model.SerializeToString())
        return path

    return make


def _regression(folder: Path) -> Path:
    return random_mlp(folder / "net.onnx", [6, 5, 1])


def _not_finite(folder: Path) -> Path:
    return mlp(folder / "net.onnx", [(np.full((4, 6), np.nan), None)])


MODELS = {
    "missing": (lambda folder: folder / "absent.onnx", 3, "model-not-found", "does not exist"),
    "a folder": (lambda folder: folder, 3, "model-not-found", "is not a file"),
    "empty": (_bytes(b""), 3, "model-invalid", "it is empty"),
    "truncated": (_truncated, 3, "model-invalid", "truncated"),
    "no model": (_bytes(b"name,value\n1,2\n"), 3, "model-invalid", "is not an ONNX model"),
    "unsupported": (_unsupported, 3, "model-unsupported-operator", "Round (1)"),
    "old opset": (_opset(6), 3, "model-opset", "opset 6"),
    "opset of the future": (_opset(999), 3, "model-opset", "opset 999"),
    "external data missing": (_external("weights.bin"), 3, "model-external-data", "which is missing"),
    "external data outside": (_external("../../etc/passwd"), 3, "model-external-data", "outside its own folder"),
    "a regression is read as two classes": (_regression, 4, "data-labels", "between 0 and 1"),
    "weights not finite": (_not_finite, 3, "model-weights-not-finite", "not finite"),
}


@pytest.mark.parametrize("case", MODELS)
def test_models(tmp_path: Path, case: str) -> None:
    make, exit_code, code, message = MODELS[case]
    data = write_rows(tmp_path / "rows.npz")
    error = failing("analyze", make(tmp_path), "--data", data)
    assert (error["exit_code"], error["code"]) == (exit_code, code)
    assert message in error["message"]


def rows(**changes: Any) -> Make:
    return lambda folder: write_rows(folder / "rows.npz", **changes)


def _file(name: str, content: bytes) -> Make:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _truncated_rows(folder: Path) -> Path:
    path = write_rows(folder / "rows.npz")
    path.write_bytes(path.read_bytes()[:200])
    return path


def _pickled(folder: Path) -> Path:
    return write_rows(folder / "rows.npz", x=np.array([{"a": 1}] * 30, object))


def _with(place: tuple[int, ...], value: float) -> Make:
    x = np.random.default_rng(1).normal(size=(30, 6)).astype(np.float32)
    x[place] = value
    return rows(x=x)


X = np.zeros((30, 6), np.float32)
DATA = {
    "missing": (lambda folder: folder / "absent.npz", "data-not-found", ""),
    "a folder": (lambda folder: folder, "data-key", "no images"),
    "empty": (_file("rows.npz", b""), "data-invalid", ""),
    "truncated": (_truncated_rows, "data-invalid", ""),
    "another format": (_file("rows.npz", b"a,b\n1,2\n"), "data-invalid", ""),
    "unknown suffix": (_file("rows.csv", b"a,b\n1,2\n"), "data-invalid", ""),
    "pickles": (_pickled, "data-invalid", "pickle"),
    "no inputs": (rows(x=None), "data-key", "--x-key"),
    "two candidates": (rows(x=None, images=X, inputs=X), "data-key", "--x-key"),
    "no labels": (rows(y=None), "data-key", "--y-key"),
    "wrong rank": (rows(x=np.zeros((30, 2, 3), np.float32)), "data-shape", "--layout flat"),
    "wrong length": (rows(x=np.zeros((30, 7), np.float32)), "data-shape", "7"),
    "integers without scale": (rows(x=np.zeros((30, 6), np.uint8)), "data-type", "--scale"),
    "strings": (rows(x=np.full((30, 6), "a")), "data-type", ""),
    "complex": (rows(x=np.zeros((30, 6), np.complex64)), "data-type", ""),
    "NaN": (_with((17, 2), np.nan), "data-not-finite", "row 17"),
    "infinity": (_with((29, 0), -np.inf), "data-not-finite", "row 29"),
    "label too large": (rows(y=np.arange(30) % 5), "data-labels", "4"),
    "label negative": (rows(y=np.arange(30) % 4 - 1), "data-labels", "-1"),
    "several labels per row": (rows(y=1 - np.eye(4, dtype=np.int64)[np.arange(30) % 4]), "data-labels", "one-hot"),
    "labels of another length": (rows(y=np.arange(29) % 4), "data-labels", "29"),
    "labels that are no integers": (rows(y=None, labels=np.full(30, 0.5)), "data-labels", "float64"),
    "zero rows": (rows(count=0), "data-empty", ""),
}


@pytest.mark.parametrize("case", DATA)
def test_data(tmp_path: Path, case: str) -> None:
    make, code, message = DATA[case]
    model = random_mlp(tmp_path / "net.onnx", [6, 5, 4])
    error = failing("analyze", model, "--data", make(tmp_path))
    assert (error["exit_code"], error["code"]) == (4, code)
    said = error["message"] + " ".join(f"{p['where']} {p['why']} {p['do']}" for p in error["problems"])
    assert message in said


USAGE = [
    ["--frobnicate"],
    ["--seed", "many"],
    ["--seed", "-1"],
    ["--form", "quadratic"],
    ["--measured", "0"],
    ["--measured", "some"],
    ["--probes", "0"],
    ["--probes", "approximate"],
    ["--pairs", "some"],
    ["--noise", "uniform:1"],
    ["--noise", "gaussian:-1"],
    ["--noise", "gaussian:"],
    ["--gamma", "0"],
    ["--gamma", "nan"],
    ["--gamma-quantile", "1"],
    ["--delta", "0"],
    ["--zeta", "1"],
    ["--threads", "0"],
    ["--layout", "nwhc"],
    ["--scale", "1/0"],
    ["--scale", "1,2"],
    ["--scale", "nan"],
    ["--mean", "a"],
    ["--std", "0"],
    ["--limit", "0"],
    ["--format", "xml"],
    ["--device", "tpu"],
    ["--engine", "abacus"],
    ["--memory", "plenty"],
    ["--memory", "1KiB"],
    ["--resume"],
    ["--cluster", "local:0"],
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_usage(tmp_path: Path, arguments: list[str]) -> None:
    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    error = failing("analyze", model, "--data", data, *arguments)
    assert error["exit_code"] == 2
    assert error["code"] == "usage"
    assert arguments[0] in error["message"] or arguments[-1] in error["message"]


@pytest.mark.parametrize("arguments", [["analyze"], ["analyze", "net.onnx"], ["frobnicate"], ["inspect"]])
def test_incomplete_commands(arguments: list[str]) -> None:
    assert failing(*arguments)["code"] == "usage"


def test_unknown_topic() -> None:
    error = failing("explain", "layer_cushon")
    assert (error["exit_code"], error["code"]) == (2, "explain-unknown")
    assert "layer_cushion" in error["problems"][0]["do"]


def test_gate_that_is_none(tmp_path: Path) -> None:
    error = failing("analyze", tmp_path / "net.onnx", "--data", tmp_path / "rows.npz", "--fail-if", "arora")
    assert (error["exit_code"], error["code"]) == (2, "usage-gate")


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers() and Path("/dev/nvidia0").exists():
        pytest.skip("this machine has a GPU")
    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    error = failing("analyze", model, "--data", data, "--device", "cuda")
    assert (error["exit_code"], error["code"]) == (5, "device-unavailable")


@pytest.mark.parametrize("option", ["-o", "--samples"])
def test_outputs_are_checked_before_the_work(tmp_path: Path, option: str) -> None:
    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    error = failing("analyze", model, "--data", data, option, tmp_path / "missing" / "out")
    assert (error["exit_code"], error["code"]) == (6, "output-unwritable")
    (tmp_path / "out").write_bytes(b"precious")
    error = failing("analyze", model, "--data", data, option, tmp_path / "out")
    assert (error["exit_code"], error["code"]) == (6, "output-exists")
    assert (tmp_path / "out").read_bytes() == b"precious"


def test_what_was_computed_is_printed_when_the_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", **options: Any) -> Any:
        if "x" in mode:
            raise OSError(28, "No space left on device")
        return opened(path, mode, **options)

    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    monkeypatch.setattr(Path, "open", full)
    found = onnxbound("analyze", model, "--data", data, "-o", tmp_path / "out.csv", "-q")
    assert found.code == 6
    assert "No space left on device" in found.stderr
    assert found.stdout.startswith("name,value\n")
    assert "theorem-2.2" in found.stdout


def test_names_from_a_file_cannot_steer_the_terminal(tmp_path: Path) -> None:
    nodes = [helper.make_node("Round", ["x"], ["logits"], name="\x1b[31m\x07red")]
    (tmp_path / "net.onnx").write_bytes(model_of(nodes, {}, ["N", 6]).SerializeToString())
    found = onnxbound("inspect", tmp_path / "net.onnx")
    assert found.code == 3
    assert "\x1b" not in found.stderr
    assert "red" in found.stderr


def test_an_internal_fault_is_code_70(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("impossible")

    monkeypatch.setattr(import_module("onnxbound.graph.load"), "load", broken)
    error = failing("inspect", tmp_path / "net.onnx")
    assert (error["exit_code"], error["code"]) == (70, "internal")
    assert "--debug" in error["message"]
