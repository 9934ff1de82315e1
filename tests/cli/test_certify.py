"""What certify refuses, and what Ctrl-C leaves behind."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onnxbound.words import percent
from tests.certificates.conftest import case  # noqa: F401 - the fixture
from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import random_mlp


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", (6, 5, 4))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.npz", 300)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "certify needs --data"),
        (("--data", "rows.npz", "--effort", "0"), "must be 1 to 9, not 0"),
        (("--data", "rows.npz", "--targets", "rows"), "--targets must be outputs or labels, not 'rows'"),
        (("--data", "rows.npz", "--delta", "1"), "must lie between 0 and 1"),
        (("--data", "rows.npz", "--delta", "x"), "--delta takes a number, not 'x'"),
        (("--data", "rows.npz", "--threads", "0"), "must be at least 1, not 0"),
        (("--data", "rows.npz", "--prior", "net.onnx"), "--prior and --prior-rows go together"),
        (("--holdout", "rows.npz", "--unlabelled", "rows.npz"), "without it a certificate is of --holdout alone"),
        (
            ("--data", "rows.npz", "--unlabelled", "rows.npz", "--prior", "net.onnx", "--prior-rows", "0"),
            "A certificate has one object",
        ),
        (("--data", "rows.npz", "--prior", "other.onnx", "--prior-rows", "0"), "another architecture"),
        (("--data", "rows.npz", "--prior", "net.onnx", "--prior-rows", "0"), "the model itself"),
        (("--data", "rows.npz", "--prior", "net.onnx", "--prior-rows", "300"), "none is left"),
        (("--data", "rows.npz", "--seed", "-1"), "must be at least 0"),
        (("--data", "rows.npz", "--x-key", "x", "--y-key", "x"), "the labels cannot be the inputs"),
    ],
)
def test_usage(net: Path, rows: Path, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    """Refused before any work, with what would be right."""
    random_mlp(tmp_path / "other.onnx", (6, 7, 4))
    given = [str(tmp_path / word) if word.endswith((".npz", ".onnx")) else word for word in options]
    error = failing("certify", net, *given, "-o", tmp_path / "c")
    assert (error["code"], error["exit_code"]) == ("usage", 2)
    assert message in error["message"]


def test_files_are_not_overwritten_unasked(net: Path, rows: Path, tmp_path: Path) -> None:
    arguments = ("certify", net, "--holdout", rows, "-o", tmp_path / "c")
    assert onnxbound(*arguments).code == 0
    assert failing(*arguments)["code"] == "output-exists"
    assert onnxbound(*arguments, "--force").code == 0
    assert failing("certify", net, "--holdout", rows, "-o", tmp_path / "no" / "c")["code"] == "output-unwritable"


def test_a_net_that_picks_entries_and_one_with_huge_numbers(tmp_path: Path) -> None:
    """The first has a code like any other, the second is certified by hold-out rows only, and says so."""
    from onnx import helper

    from tests.nets import write_model

    random = np.random.default_rng(1)
    places = np.array([0, 2, 3])
    weight = random.normal(size=(4, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["x", "places"], ["h"], axis=1),
        helper.make_node("Gemm", ["h", "w"], ["logits"], transB=1),
    ]
    x = random.normal(size=(2000, 6)).astype(np.float32)
    rows = write_rows(tmp_path / "rows.npz", x=x, y=(x[:, places] @ weight.T).argmax(axis=1))
    model = write_model(tmp_path / "picks.onnx", nodes, {"places": places, "w": weight}, ["N", 6])
    seed = str(1 << 70)
    words = ("certify", model, "--data", rows, "--effort", "1", "--seed", seed, "-q", "-o", tmp_path / "c")
    assert onnxbound(*words).code == 0
    assert onnxbound("verify", tmp_path / "c", "--data", rows).code == 0
    large = write_model(tmp_path / "large.onnx", nodes, {"places": places, "w": weight * 2.0**61}, ["N", 6])
    error = failing("certify", large, "--data", rows, "-o", tmp_path / "d")
    assert error["code"] == "certify-unsupported"
    assert "holdout" in error["problems"][0]["do"]
    assert onnxbound("certify", large, "--holdout", rows, "-o", tmp_path / "d").code == 0


def require_printed(text: str, folder: Path, model: Path) -> None:
    """Every number of the table is that of the files beside it."""
    document = json.loads((folder / "certificate.json").read_bytes())
    bits, size = 8 * (folder / "code.bin").stat().st_size, model.stat().st_size
    printed = {line[2:19].strip(): line[19:].strip() for line in text.splitlines() if line.startswith("  ")}
    assert printed["code"].startswith(f"{bits:,} bits, ")
    assert printed["training error"].startswith(
        f"{percent(document['errors'] / document['rows'])} of this network; the original"
    )
    assert printed["original file"] == f"{size:,} bytes"
    for name in ("code.bin", "decoded.onnx"):
        length = (folder / name).stat().st_size
        assert printed[name] == f"{length:,} bytes, {percent(length / size)} of the original"


def test_a_smooth_net(tmp_path: Path) -> None:
    """The theorems of the paper do not apply to it, a certificate does."""
    from onnx import helper

    from tests.nets import write_model

    random = np.random.default_rng(1)
    constants = {"w": random.normal(size=(5, 6)).astype(np.float32), "v": random.normal(size=(4, 5)).astype(np.float32)}
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"], transB=1),
        helper.make_node("Sigmoid", ["h"], ["a"]),
        helper.make_node("Gemm", ["a", "v"], ["logits"], transB=1),
    ]
    model = write_model(tmp_path / "net.onnx", nodes, constants, ["N", 6])
    x = random.normal(size=(3000, 6)).astype(np.float32)
    y = (1 / (1 + np.exp(-x @ constants["w"].T)) @ constants["v"].T).argmax(axis=1)
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    outcome = onnxbound("certify", model, "--data", tmp_path / "rows.npz", "--effort", "1", "-o", tmp_path / "c")
    assert outcome.code == 0, outcome.stderr
    assert "vacuous" not in outcome.stdout
    require_printed(outcome.stdout, tmp_path / "c", model)
    assert onnxbound("verify", tmp_path / "c", "--data", tmp_path / "rows.npz").code == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
def test_an_interrupt_keeps_the_best_so_far(case, tmp_path: Path) -> None:  # noqa: F811
    """After the first round Ctrl-C ends the search, and what was written verifies."""
    data = case / "train.npz"
    options = ["--data", str(data), "--scale", "1", "--mean", "0.25", "--std", "2", "--effort", "9"]
    command = [
        sys.executable,
        "-m",
        "onnxbound",
        "certify",
        str(case / "model.onnx"),
        *options,
        "-o",
        str(tmp_path / "c"),
    ]
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [*command, "-o", str(tmp_path / "c")],
        env=os.environ | {"PYTHONPATH": root},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("onnxbound: round 1: ")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    assert "interrupted; the best so far was written" in err
    assert "Verify it: onnxbound verify " in out
    assert onnxbound("verify", tmp_path / "c", "--data", data).code == 0
