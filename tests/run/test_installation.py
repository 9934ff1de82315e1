"""An onnxruntime that is installed twice, or not whole, is named at the start of every verb that needs it."""

import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from onnxbound.cli.app import app
from onnxbound.run.environment import versions
from tests.cli.command import write_rows
from tests.nets import random_mlp

ROOT = Path(__file__).parents[2]
RUN = """import sys, json
from contextlib import redirect_stdout
from io import StringIO
from onnxbound.cli.app import run
for line in sys.stdin:
    with redirect_stdout(StringIO()) as out:
        code = run(line.split())
    print(json.dumps([line.split()[0], code, out.getvalue()]))
"""
NEEDING = {
    "analyze": "absent.onnx --data absent.npz",
    "certify": "absent.onnx --data absent.npz -o new",
    "verify": "absent --data absent.npz",
    "compare": "absent.onnx absent.onnx --data absent.npz",
    "track": "absent.onnx absent.onnx --data absent.npz --test absent.npz",
    "rank": "absent.onnx absent.onnx --data absent.npz --test absent.npz",
    "compress": "absent.onnx --method quantise --bits 4 -o new.onnx",
}
OTHERS = {
    "explain": "device-installation",
    "inspect": "net.onnx",
    "noise": "net.onnx --data rows.npz --measured 5",
    "env": "",
}


def record(folder: Path, distribution: str) -> None:
    place = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")


def python(code: str, folder: Path, lines: str = "") -> str:
    paths = os.pathsep.join([str(folder / "site"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=lines, cwd=folder, env=os.environ | {"PYTHONPATH": paths}, check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout


def test_these_are_the_verbs_that_have_a_device() -> None:
    verbs = [command.callback for command in app.registered_commands if command.callback]
    assert {verb.__name__ for verb in verbs if "device" in inspect.signature(verb).parameters} == set(NEEDING)


@pytest.mark.parametrize(
    ("module", "distributions", "said"),
    [
        ("", ["onnxruntime"], "has no attribute 'InferenceSession'"),  # what uninstalling the other leaves
        ("raise ImportError('a library is missing')", ["onnxruntime-gpu"], "ImportError: a library is missing"),
        ("class InferenceSession: ...", ["onnxruntime", "onnxruntime-gpu"], "are both installed"),
    ],
)
def test_what_is_wrong_with_it_is_said_with_the_remedy(
    tmp_path: Path, module: str, distributions: list[str], said: str
) -> None:
    package = tmp_path / "site" / "onnxruntime"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(module)
    for name in distributions:
        record(tmp_path / "site", name)
    random_mlp(tmp_path / "net.onnx", [6, 5, 4])
    write_rows(tmp_path / "rows.npz")
    lines = "\n".join(f"{verb} {words} --json" for verb, words in (NEEDING | OTHERS).items())
    for line in python(RUN, tmp_path, lines).splitlines():
        verb, code, out = json.loads(line)
        document = json.loads(out)
        if verb in OTHERS:
            assert code == 0, (verb, out)
        else:
            assert (code, document["code"]) == (5, "device-installation"), (verb, out)
            assert said in document["problems"][0]["why"]
            assert "pip uninstall -y onnxruntime onnxruntime-gpu" in document["problems"][0]["do"]
        if verb == "env":
            (warning,) = document["warnings"]
            assert said in warning
            assert document["device"] == "none"


def test_the_same_in_other_folders_is_no_fault(tmp_path: Path) -> None:
    """A virtual environment that sees the system's packages has its own folder, which comes first."""
    (absent,) = {"onnxruntime", "onnxruntime-gpu"} - versions().keys()
    record(tmp_path / "site", absent)
    code = "from onnxbound.run.installation import import_onnxruntime; print(import_onnxruntime().__name__)"
    assert python(code, tmp_path) == "onnxruntime\n"
