"""Conventions of a model: written by analyze, read by every verb, one for each of several nets; options win."""

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from onnxbound.cli.app import app
from onnxbound.cli.values import split_conventions
from onnxbound.data.conventions import Conventions, read_conventions
from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import random_mlp

FIXTURES = Path(__file__).parents[2] / "fixtures"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616)
CIFAR = FIXTURES / "data" / "cifar10.npz"
QUICK = ("--measured", "2", "--probes", "1", "--pairs", "output", "-q")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [6, 5, 4])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 256, (30, 6), np.uint8), np.arange(30) % 4 + 1
    return write_rows(tmp_path / "rows.npz", x=None, y=None, mine=x, told=y)


def said(tmp_path: Path) -> Path:
    file = tmp_path / "m.toml"
    every = Conventions(scale=1 / 255, mean=(0.5,), std=(0.25,), labels_start=1, x_key="mine", y_key="told")
    every.write(file, force=True)
    return file


def test_what_analyze_saves_is_what_was_said(net: Path, data: Path, tmp_path: Path) -> None:
    file = tmp_path / "saved.toml"
    words = "--scale 1/255 --mean 0.5,0.4,0.3,0.2,0.1,0 --std 0.25 --labels-start 1 --x-key mine --y-key told"
    given = ("analyze", net, "--data", data, *words.split(), *QUICK)
    first = onnxbound(*given, "--logits", "logits", "--save-conventions", file, "--json").json()
    assert read_conventions(file) == Conventions(
        scale=1 / 255, mean=(0.5, 0.4, 0.3, 0.2, 0.1, 0.0), std=(0.25,), labels_start=1, x_key="mine", y_key="told",
        logits="logits",
    )  # fmt: skip
    second = onnxbound("analyze", net, "--data", data, "--conventions", file, *QUICK, "--json").json()
    assert {**second, "tool": None} == {**first, "tool": None}
    error = failing(*given, "--save-conventions", file)
    assert error["code"] == "output-exists"


def test_options_win_over_the_file(net: Path, data: Path, tmp_path: Path) -> None:
    words = ("analyze", net, "--data", data, "--conventions", said(tmp_path), *QUICK)
    assert onnxbound(*words, "--json").json()["settings"]["preprocessing"]["mean"] == [0.5]
    changed = onnxbound(*words, "--mean", "0", "--scale", "1", "--json").json()["settings"]["preprocessing"]
    assert changed == {"scale": 1.0, "mean": [0.0], "std": [0.25], "layout": None}
    np.savez(tmp_path / "zero.npz", mine=np.zeros((4, 6), np.uint8), told=np.arange(4), others=np.arange(4) + 1)
    zero = ("analyze", net, "--data", tmp_path / "zero.npz", "--conventions", said(tmp_path), *QUICK)
    assert failing(*zero)["code"] == "data-labels"
    for options in (("--labels-start", "0"), ("--y-key", "others")):
        assert onnxbound(*zero, *options).code == 0


def test_every_verb_that_reads_rows_or_a_model_reads_one(net: Path, data: Path, tmp_path: Path) -> None:
    file, out = said(tmp_path), tmp_path / "out"
    for verb, parameters in ((name, command.params) for name, command in commands().items()):
        names = {parameter.opts[0] for parameter in parameters}
        assert ("--conventions" in names) == ("--logits" in names), verb
    common = ("--conventions", file, "--json")
    for words in (
        ("inspect", net),
        ("noise", net, "--data", data, "--measured", "2", "--probes", "1", "-q"),
        ("compress", net, "--data", data, "-o", f"{out}.onnx", "--method", "svd", "--rank", "2", "-q"),
        ("certify", net, "--holdout", data, "-o", out),
    ):
        found = onnxbound(*words, *common)
        assert found.code == 0, found.stderr
    verified = ("verify", out, "--model", net, "--holdout", data)
    assert onnxbound(*verified, *common).code == 0
    assert failing(*verified)["code"] == "data-key"


def commands() -> dict[str, Any]:
    root: Any = typer.main.get_command(app)
    return dict(root.commands)


def test_inputs_that_are_held_are_kept_and_changed_one_by_one(net: Path, tmp_path: Path) -> None:
    Conventions(fixed={"a": 1, "b": 2}).write(tmp_path / "m.toml")
    error = failing("inspect", net, "--conventions", tmp_path / "m.toml", "--fix", "b=3")
    assert (error["code"], error["message"]) == ("model-inputs", "The model has no input 'a' that could be held fixed.")


@pytest.mark.parametrize("verb", ["compare", "rank"])
def test_nets_of_several_conventions_stand_side_by_side(tmp_path: Path, verb: str) -> None:
    """The same net three times, fed as in training but for the second."""
    Conventions(scale=1 / 255).write(tmp_path / "right.toml")
    Conventions(scale=1 / 255, mean=(0.5,), std=(0.5,)).write(tmp_path / "wrong:.toml")
    own, copied = FIXTURES / "mnist_mlp.onnx", tmp_path / "net:2.onnx"
    copied.write_bytes(own.read_bytes())
    words = (verb, f"{own}:{tmp_path / 'right.toml'}", f"{copied}:{tmp_path / 'wrong:.toml'}", copied)
    data = FIXTURES / "data" / "mnist.npz"
    options = ("--data", data, "--conventions", tmp_path / "right.toml", "--limit", "200", *QUICK, "--json")
    found = onnxbound(*words, *options, *(() if verb == "compare" else ("--test", data))).json()
    nets = found["nets"] if verb == "compare" else [entry["net"] for entry in found["standings"]]
    assert [entry["name"] for entry in nets] == ["mnist_mlp", "net:2", "net:2 (2)"]
    assert [entry["train_error"] == 0 for entry in nets] == [True, False, True]


def test_where_a_model_ends_and_its_conventions_begin(tmp_path: Path) -> None:
    (tmp_path / "c:").mkdir()
    for name in ("m.onnx", "m.onnx:x.toml", "c:/m.onnx"):
        (tmp_path / name).write_bytes(b"")
    for text, file in (
        ("m.onnx", None),
        ("m.onnx:x.toml", None),  # a model of that name is there
        ("m.onnx:y.toml", "y.toml"),
        ("m.onnx:d:/y.toml", "d:/y.toml"),
        ("m.onnx:x.toml:y.toml", "y.toml"),
        ("c:/m.onnx", None),
        ("c:/m.onnx:c:/y.toml", "c:/y.toml"),
        ("m.onnx:", None),
        ("absent.onnx:y.toml", None),
    ):
        model, conventions = split_conventions(tmp_path / text)
        assert conventions == (None if file is None else Path(file)), text
        assert str(model) == str(tmp_path / text).removesuffix(f":{file}")


def test_a_file_that_is_wrong_is_refused_before_anything_is_read(net: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text("scales = 1\n")
    error = failing("analyze", net, "--data", data, "--conventions", tmp_path / "m.toml")
    assert (error["code"], error["exit_code"]) == ("conventions-invalid", 2)
    assert error["problems"] == [
        {"where": f"{tmp_path / 'm.toml'}: scales", "why": "there is no such key", "do": "write scale"}
    ]


@pytest.mark.parametrize("spelling", [("--layout", "nchw"), ("--layout=nchw",)])
def test_an_error_about_data_ends_with_a_command_that_runs(tmp_path: Path, spelling: tuple[str, ...]) -> None:
    with np.load(CIFAR) as stored:
        np.savez(tmp_path / "my rows.npz", pictures=stored["x_train"][:99], classes=stored["y_train"][:99].astype(int))
    words = ("analyze", FIXTURES / "cifar10_cnn.onnx", "--data", tmp_path / "my rows.npz", *spelling, *QUICK)
    error = failing(*words)
    assert error["code"] == "data-key"
    assert len(error["problems"]) == 5
    program, *found = shlex.split(error["command"])
    assert program == "onnxbound"
    assert found.count("--layout") == 1
    assert onnxbound(*found).json()["data"]["train_error"] == 0
    in_words, plain = onnxbound(*words).stderr, error["command"].replace(" --json", "")
    assert f"  a complete command; check the options that it adds:\n    {plain}\n" in in_words


def test_no_command_is_printed_that_would_not_run(net: Path, data: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "short.npz", mine=np.zeros((30, 5), np.uint8), told=np.arange(30) % 4 + 1)
    assert failing("analyze", net, "--data", tmp_path / "short.npz")["command"] is None
    np.savez(tmp_path / "test.npz", mine=np.zeros((30, 6), np.uint8), told=np.arange(30) % 4)
    words = ("analyze", net, "--data", data, "--test", tmp_path / "test.npz", "--conventions", said(tmp_path))
    error = failing(*words)
    assert (error["code"], error["command"]) == ("data-labels", None)
    random_mlp(tmp_path / "other.onnx", [7, 5, 4])
    assert (
        failing("compare", net, tmp_path / "other.onnx", "--data", data, "--conventions", said(tmp_path))["command"]
        is None
    )
    assert onnxbound("certify", net, "--holdout", data, "--conventions", said(tmp_path), "-o", tmp_path / "c").code == 0
    error = failing("verify", tmp_path / "c", "--model", net, "--holdout", tmp_path / "test.npz", "--x-key", "mine")
    assert error["command"] is None or "--layout" not in error["command"]
