"""Every figure and table of [A] for the nets of `reproduce.train`: python -m reproduce.experiments FOLDER [ROWS].

Runs the commands of onnxbound, and writes JSON and figures into FOLDER/results. `trends.md` there compares the results
with the statements in Section 6 of the paper. Results that exist already are not computed again.
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

DATA = ("--layout", "nhwc", "--scale", "1/255", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616")
NETS = ("vgg", "alexnet")
PRINTED = ("--form", "linear")
"""The form of [A]. With biases included, the signal of an untrained net can be its biases alone."""


def run(
    folder: Path, name: str, verb: str, models: list[str], *options: str, timeout: float | None = None
) -> dict[str, Any]:
    """The document of one command. Its figures go to a folder of the same name. `timeout` is in seconds."""
    target = folder / "results" / f"{name}.json"
    if not target.exists():
        print(f"{name}: onnxbound {verb}", flush=True)
        target.parent.mkdir(exist_ok=True)
        paths = [str(folder / f"{model}.onnx") for model in models]
        rows = ("--data", str(folder / "rows.npz"), *DATA)
        out = ("--json", "-q", "-o", str(target), "--force", "--plots", str(target.with_suffix("")))
        words = [sys.executable, "-m", "onnxbound", verb, *paths, *rows, *options, *out]
        subprocess.run(words, check=True, timeout=timeout)
    document: dict[str, Any] = json.loads(target.read_text())
    return document


def checkpoints(folder: Path, name: str) -> list[str]:
    """Names of a net's files from its initialisation to its end."""
    epochs = sorted(int(path.stem.rpartition("epoch")[2]) for path in folder.glob(f"{name}_epoch*.onnx"))
    return [f"{name}_init", *(f"{name}_epoch{epoch}" for epoch in epochs), name]


def trends(found: dict[str, dict[str, Any]], net: str) -> list[tuple[str, str, bool]]:
    """(what the paper says, what was found, whether it agrees) for one net."""
    report, comparison = found[f"{net}_analyze"], found[f"{net}_compare"]
    layers = report["layers"]
    cushions = [entry for entry in comparison["properties"] if entry["property"] == "layer_cushion"]
    ratios = [entry["medians"][1] / entry["medians"][0] for entry in cushions]
    later, earlier = ratios[len(ratios) // 2 :], ratios[: len(ratios) // 2]
    clipped = sum(
        layer["minimal_interlayer_cushion"]["unclipped"]["min"] > layer["minimal_interlayer_cushion"]["clipped"]["min"]
        for layer in layers[:-1]
    )
    beta = [layer["beta"]["median"] for layer in layers]
    bounds = {bound["name"]: bound["log10"] for bound in report["bounds"] if bound["kind"] == "as_plotted"}
    older = {name: value for name, value in bounds.items() if name not in ("arora", "parameters")}
    percent = [layer["compression_percent"] for layer in layers]
    halves = median(percent[: len(percent) // 2]), median(percent[len(percent) // 2 :])
    curves = found[f"{net}_noise"]["curves"][:-1]
    ends = [
        curve["arrivals"][-1]["relative_error"]["median"] / curve["arrivals"][0]["relative_error"]["median"]
        for curve in curves
    ]
    shuffled = {
        (entry["property"], entry["layer"]): entry["medians"]
        for entry in found[f"{net}_shuffled_compare"]["properties"]
    }
    normal_larger = sum(values[0] > values[1] for (name, _), values in shuffled.items() if name == "layer_cushion")
    tau = {entry["capacity"]: entry["correlation"]["tau"] for entry in found[f"{net}_track"]["capacities"]}
    return [
        (
            "noise is attenuated on its way to later layers (Fig. 1)",
            f"error at the logits / error after the layer where noise enters: {_range(ends)}",
            max(ends) < 1,
        ),
        (
            "the layer cushion rises with training, in every layer (Fig. 2a)",
            f"median after training / median before: {_range(ratios)}",
            min(ratios) > 1,
        ),
        (
            "the layer cushion rises most in later layers",
            f"median factor in the first half of the layers {median(earlier):.3g}, in the second {median(later):.3g}",
            median(later) > median(earlier),
        ),
        (
            "the minimal interlayer cushion is clipped at 1/sqrt(h) nearly everywhere",
            f"clipped at {clipped} of {len(layers) - 1} layers",
            clipped >= 0.8 * (len(layers) - 1),
        ),
        ("beta is near 1", f"medians {_range(beta)}", max(beta) < 2),
        (
            "noise stability gives the smallest capacity, except for the number of parameters (Fig. 4 left)",
            ", ".join(f"{name} 10^{value:.1f}" for name, value in bounds.items()),
            bounds["arora"] < min(older.values()),
        ),
        (
            "later layers are the most compressible (Table 1)",
            f"q / weights, median of the first half of the layers {halves[0]:.3g} %, of the second {halves[1]:.3g} %",
            halves[1] < halves[0],
        ),
        (
            "the layer cushion is larger with the right labels than with shuffled labels (Fig. 3)",
            f"in {normal_larger} of {len(layers)} layers",
            normal_larger > len(layers) / 2,
        ),
        (
            "the bound falls and rises with the gap during training (Fig. 4 right)",
            "Kendall's tau of arora with the gap: " + ("undefined" if tau["arora"] is None else f"{tau['arora']:.2f}"),
            tau["arora"] is not None and tau["arora"] > 0,
        ),
    ]


def _range(values: list[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}, median {median(values):.3g}"


def main(folder: Path, measured: str = "200") -> None:
    """Run what is missing, and write `trends.md`."""
    rows, test = ("--measured", measured), ("--test", str(folder / "rows.npz"))
    lines = ["| net | [A] says | found | agrees |", "|---|---|---|---|"]
    for net in (net for net in NETS if (folder / f"{net}_shuffled.onnx").exists()):
        found = {
            f"{net}_analyze": run(folder, f"{net}_analyze", "analyze", [net], *rows, *test),
            f"{net}_noise": run(folder, f"{net}_noise", "noise", [net], *rows),
            f"{net}_compare": run(folder, f"{net}_compare", "compare", [f"{net}_init", net], *rows, *PRINTED),
            f"{net}_shuffled_compare": run(
                folder,
                f"{net}_shuffled_compare",
                "compare",
                [net, f"{net}_shuffled"],
                *rows,
                *PRINTED,
                "--labels-for",
                f"2={folder / 'shuffled_labels.npy'}",
            ),
            f"{net}_track": run(folder, f"{net}_track", "track", checkpoints(folder, net), *rows, *test),
        }
        for said, seen, agrees in trends(found, net):
            lines.append(f"| {net} | {said} | {seen} | {'yes' if agrees else 'no'} |")
    (folder / "results" / "trends.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:3])
