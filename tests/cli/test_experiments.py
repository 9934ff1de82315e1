"""noise, compare, track and rank from the command line."""

import csv
import io
from pathlib import Path

import pytest

from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import random_mlp

VERBS = ("noise", "compare", "track", "rank")
SCHEMAS = {"noise": "noise", "compare": "comparison", "track": "track", "rank": "ranking"}


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, list[str]]:
    models = [str(random_mlp(tmp_path / f"net{k}.onnx", sizes)) for k, sizes in enumerate(([6, 5, 4], [6, 7, 5, 4]))]
    data = str(write_rows(tmp_path / "rows.npz"))
    test = str(write_rows(tmp_path / "test.npz", 20))
    result = {verb: [verb, *models, "--data", data, "--test", test] for verb in VERBS}
    result["noise"] = ["noise", models[0], "--data", data]
    result["compare"] = ["compare", *models, "--data", data]
    return result


@pytest.mark.parametrize("verb", VERBS)
def test_every_format(verb: str, arguments: dict[str, list[str]], tmp_path: Path) -> None:
    words = arguments[verb]
    document = onnxbound(*words, "--json", "-q").json()
    assert document["schema"] == f"onnxbound.{SCHEMAS[verb]}/1"
    table = onnxbound(*words)
    assert table.code == 0
    assert max(map(len, table.stdout.splitlines())) <= 100
    assert "\N{HORIZONTAL ELLIPSIS}" not in table.stdout
    lines = list(csv.reader(io.StringIO(onnxbound(*words, "--format", "csv").stdout)))
    assert dict(lines)["schema"] == document["schema"]
    assert len({name for name, _ in lines}) == len(lines)
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    folder = tmp_path / "plots"
    assert onnxbound(*words, "-q", "--plots", folder, "-o", tmp_path / "out.txt").code == 0
    drawings = {path.stem for path in folder.glob("*.svg")}
    assert drawings
    assert drawings == {path.stem for path in folder.glob("*.csv")}


def test_labels_of_one_net(arguments: dict[str, list[str]], tmp_path: Path) -> None:
    import numpy as np

    np.save(tmp_path / "labels.npy", np.zeros(30, np.int64))
    words = [*arguments["compare"], "--labels-for", f"2={tmp_path / 'labels.npy'}", "--json", "-q"]
    changed, plain = onnxbound(*words).json(), onnxbound(*arguments["compare"], "--json", "-q").json()
    assert changed["nets"][0] == plain["nets"][0]
    assert changed["nets"][1]["train_error"] != plain["nets"][1]["train_error"]
    assert failing(*arguments["compare"], "--labels-for", "3=x.npy")["message"].startswith("--labels-for takes N=FILE")


def test_outputs_are_not_overwritten(arguments: dict[str, list[str]], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("1")
    assert failing(*arguments["noise"], "--plots", tmp_path / "full")["code"] == "output-exists"
    assert failing(*arguments["track"], "-o", tmp_path / "full" / "precious.txt")["code"] == "output-exists"


def test_a_model_with_a_file_of_its_own_takes_nothing_from_the_options_of_the_others(tmp_path: Path) -> None:
    net, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    (tmp_path / "own.toml").write_text("scale = 3.0\n")
    words = ("compare", net, f"{net}:{tmp_path / 'own.toml'}", "--data", data, "--scale", "2", "--mean", "0.5", "-q")
    document = onnxbound(*words, "--json").json()
    assert [one["preprocessing"] for one in document["nets"]] == [
        "scale 2.0, mean 0.5, std 1.0",
        "scale 3.0, mean 0.0, std 1.0",
    ]
    table = "".join(onnxbound(*words).stdout.split())  # long paths are folded anywhere
    assert ";scale2.0,mean0.5,std1.0" in table
    assert ";scale3.0,mean0.0,std1.0" in table
