"""Run every example and hold what it prints against the report: python examples/check.py NODE|- CXX|-."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
MODEL = str(ROOT / "fixtures/mnist_mlp.onnx")
DATA = str(ROOT / "fixtures/data/mnist.npz")
WORDS = [MODEL, "--data", DATA, "--test", DATA, "--scale", "1/255", "--measured", "50"]


def run(*words: str, code: int = 0) -> str:
    """What a command prints; it has to end with this code."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


def main(node: str, compiler: str) -> None:
    """Run them."""
    report = json.loads(run("onnxbound", "analyze", *WORDS, "--json", "-q"))
    bounds = [bound for bound in report["bounds"] if bound["kind"] != "as_plotted"]
    ordered = sorted(report["layers"], key=lambda layer: layer["compression_percent"])
    printed = run(str(HERE / "pipeline.sh"), *WORDS).splitlines()
    assert [line.split("\t")[0] for line in printed] == [layer["name"] for layer in ordered]
    print("pipeline.sh: fine")
    with tempfile.TemporaryDirectory() as folder:
        programs = {"report.mjs": [node, str(HERE / "report.mjs")]} if node != "-" else {}
        if compiler != "-":
            binary = str(Path(folder) / "report")
            run(compiler, "-std=c++17", "-O1", str(HERE / "report.cpp"), "-o", binary)
            programs["report.cpp"] = [binary]
        for name, words in programs.items():
            printed = run(*words, *WORDS).splitlines()
            gap = report["data"]["test_error"] - report["data"]["train_error"]
            assert abs(float(printed[0].split()[1]) - gap) < 1e-4
            assert [line.split(":")[0] for line in printed[1:]] == [bound["name"] for bound in bounds]
            assert "(vacuous)" in printed[1]
            assert "data-not-found" in run(*words, MODEL, "--data", "none.npz", code=4)
            print(f"{name}: fine")
        gate = [str(HERE / "gate.sh"), str(Path(folder) / "baseline.json")]
        first = subprocess.run([*gate, *WORDS], cwd=folder, check=False, capture_output=True, text=True)
        here = first.returncode
        assert "compared with nothing" in first.stderr
        again = subprocess.run([*gate, *WORDS], cwd=folder, check=False, stdout=subprocess.DEVNULL).returncode
        other = [MODEL.replace("mlp", "logistic"), *WORDS[1:], "--layout", "flat"]
        changed = subprocess.run([*gate, *other], cwd=folder, check=False, stdout=subprocess.DEVNULL).returncode
        assert (here, again, changed) == (0, 0, 1)
    print("gate.sh: fine")


if __name__ == "__main__":
    main(*sys.argv[1:])
