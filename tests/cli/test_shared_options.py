"""An option that several verbs take means, and reads, the same in each."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import typer

from onnxbound.cli.app import app
from tests.cli.command import onnxbound, write_rows
from tests.nets import random_mlp

OWN = {
    "--output": "a file of another kind in each",
    "--gamma": "a budget of compress",
    "--gamma-quantile": "of compress it is the margin of its losses",
    "--measured": "of compress, rows of which no bound speaks",
    "--delta": "an exact decimal in a certificate",
    "--json": "report prints the names of files",
    "--test": "required where gaps are the subject",
    "--init": "compress begins there, decompress has to be given it again",
}


def test_options_read_the_same_everywhere() -> None:
    seen = defaultdict(set)
    for verb in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        for parameter in verb.params:
            if parameter.param_type_name == "option":
                said = (parameter.metavar, parameter.default, parameter.help, tuple(parameter.opts))
                seen[parameter.opts[0]].add(said)
    assert {name for name, ways in seen.items() if len(ways) > 1} == OWN.keys()
    assert len({said[2] for said in seen["--data"]}) == 1


def test_every_verb_with_rows_reads_them_alike() -> None:
    rows = {"--data", "--labels", "--labels-start", "--x-key", "--y-key", "--logits", "--fix", "--external-root"}
    rows |= {"--layout", "--scale", "--mean", "--std", "--limit", "--seed"}
    for name, verb in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        given = {parameter.opts[0] for parameter in verb.params}
        if "--data" in given and name != "verify":  # which finds the others in the certificate
            assert rows <= given, name


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [6, 5, 4])


def test_compress_with_labels_that_start_at_one(net: Path, tmp_path: Path) -> None:
    def accuracy(data: Path, *options: str) -> float:
        words = ("compress", net, "-o", tmp_path / "out.onnx", "--method", "svd", "--rank", "2", "--data", data)
        return onnxbound(*words, *options, "--json", "--force", "-q").json()["accuracy"]["before"]

    from_one = write_rows(tmp_path / "one.npz", y=1 + np.arange(30) % 4)
    assert accuracy(from_one, "--labels-start", "1") == accuracy(write_rows(tmp_path / "zero.npz"))


def test_keys_hold_for_other_files_too_but_not_for_the_training_set_read_as_another(net: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    mine = {"mine": random.normal(size=(30, 6)).astype(np.float32), "told": np.arange(30) % 4}
    test = {"mine": random.normal(size=(20, 6)).astype(np.float32), "told": np.arange(20) % 4}
    np.savez(tmp_path / "train.npz", **mine)
    np.savez(tmp_path / "test.npz", **test)
    both = {"x_test": test["mine"], "y_test": test["told"]}
    np.savez(tmp_path / "both.npz", **mine, **both)
    errors = []
    for data, other in (("train.npz", "test.npz"), ("both.npz", "both.npz")):
        words = ("analyze", net, "--data", tmp_path / data, "--x-key", "mine", "--y-key", "told", "--json", "-q")
        errors.append(onnxbound(*words, "--test", tmp_path / other).json()["data"]["test_error"])
    assert errors[0] == errors[1]
