"""Makes tables from the reports of `reproduce.full_scale`: python -m reproduce.tables FOLDER.

Writes FOLDER/results/tables.md, and `track.svg` and `track_shuffled.svg` beside it. Leaves out reports that do not
exist, since there was no time for them.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from math import sqrt
from pathlib import Path
from typing import Any

from onnxbound.experiments.kendall import kendall
from onnxbound.report.figures.figure import Figure
from onnxbound.report.figures.shapes import lines
from reproduce.experiments import checkpoints
from reproduce.full_scale import NETS

COMPARED = ("layer_cushion", "minimal_interlayer_cushion", "contraction", "smoothness_inverse")

Report = dict[str, Any]


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    """Lines of a Markdown table."""
    lines_of = [[_cell(cell) for cell in row] for row in (head, *rows)]
    lines_of.insert(1, ["---"] * len(lines_of[0]))
    yield from (f"| {' | '.join(line)} |" for line in lines_of)
    yield ""


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def compared(document: Report) -> Iterator[str]:
    """[A] Fig. 2 or 3: medians of two nets, and the share of rows at which the second has the larger value."""
    first, second = (net["name"] for net in document["nets"])
    for name in COMPARED:
        found = {entry["layer"]: entry for entry in document["properties"] if entry["property"] == name}
        pairs = [entry["medians"] for entry in found.values()]
        yield f"{name}, medians over {document['measured_rows']} rows:"
        yield ""
        yield from table(
            ["layer", *found],
            [
                [first, *(pair[0] for pair in pairs)],
                [second, *(pair[1] for pair in pairs)],
                [f"{second} / {first}", *(pair[1] / pair[0] if all(pair) else None for pair in pairs)],
                [
                    f"{second} larger at",
                    *(f"{100 * said['share']:.0f} %" for entry in found.values() for said in entry["statements"]),
                ],
            ],
        )


def capacities(reports: dict[str, Report]) -> Iterator[str]:
    """[A] Fig. 4 left: log10 of the capacities, with the errors and the hold-out bound."""
    plotted = {
        name: {bound["name"]: bound["log10"] for bound in report["bounds"] if bound["kind"] == "as_plotted"}
        for name, report in reports.items()
    }
    names = list(next(iter(plotted.values())))
    yield from table(
        ["", *names, "gamma", "training error", "test error"],
        [
            [
                name,
                *(of[capacity] for capacity in names),
                reports[name]["margin"]["gamma"],
                reports[name]["data"]["train_error"],
                reports[name]["data"]["test_error"],
            ]
            for name, of in plotted.items()
        ],
    )


def layers(report: Report) -> Iterator[str]:
    """[A] Table 1, the clip of the minimal interlayer cushion, and beta."""
    found = report["layers"]
    clips = [layer["minimal_interlayer_cushion"] for layer in found]
    yield from table(
        ["layer", *(layer["index"] for layer in found)],
        [
            ["q / weights, %", *(layer["compression_percent"] for layer in found)],
            ["beta, median", *(layer["beta"] and layer["beta"]["median"] for layer in found)],
            ["smallest cushion before the clip", *(clip["unclipped"] and clip["unclipped"]["min"] for clip in clips)],
            ["smallest cushion after the clip", *(clip["clipped"] and clip["clipped"]["min"] for clip in clips)],
        ],
    )


def track(folder: Path, name: str, errors: list[dict[str, float]]) -> Iterator[str]:
    """[A] Fig. 4 right: capacities along the checkpoints, beside the gap on all rows."""
    reports, rows = _reports(folder, [f"track_{point}" for point in checkpoints(folder, name)]), []
    for point, of in zip(checkpoints(folder, name), errors, strict=True):
        if (report := reports.get(f"track_{point}")) is not None:
            logs = {bound["name"]: bound["log10"] for bound in report["bounds"] if bound["kind"] == "as_plotted"}
            rows.append((of, report["margin"]["gamma"], logs))
    if not rows:
        return
    gaps = [of["test_error"] - of["train_error"] for of, _, _ in rows]
    names = list(rows[0][2])
    taus = [kendall([logs[capacity] for _, _, logs in rows], gaps).tau for capacity in names[1:]]
    yield from table(
        ["epoch", "training error", "test error", "gap", "gamma", *names],
        [
            *(
                [of["epoch"], of["train_error"], of["test_error"], gap, gamma, *(logs[capacity] for capacity in names)]
                for (of, gamma, logs), gap in zip(rows, gaps, strict=True)
            ),
            ["Kendall's tau with the gap", *[None] * 5, *taus],
        ],
    )
    arora = [logs["arora"] for _, _, logs in rows]
    scaled = [max(gaps) * sqrt(10 ** (log - max(arora))) for log in arora]
    epochs = [str(of["epoch"]) for of, _, _ in rows]
    curves = [
        (curve, tuple(enumerate(map(float, values), start=1)))
        for curve, values in {"measured gap": gaps, "arora, rescaled": scaled}.items()
    ]
    drawn = Figure(
        "track",
        "Gap between test and training error, and sqrt(arora / m) rescaled",
        name,
        partial(lines, places="epoch", quantity="gap", curves=curves, names=epochs),
        ("curve", "epoch", "gap"),
        tuple((curve, epochs[at - 1], value) for curve, points in curves for at, value in points),
    )
    suffix = name.removeprefix("alexnet")
    (folder / "results" / f"track{suffix}.svg").write_bytes(drawn.to("svg")["svg"])


def _reports(folder: Path, names: Iterable[str]) -> dict[str, Report]:
    """The documents that there are."""
    paths = {name: folder / "results" / f"{name}.json" for name in names}
    return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}


def tables(folder: Path) -> Iterator[str]:
    """Every table that the reports allow, figure by figure."""
    training = json.loads((folder / "training.json").read_text())
    ends = [
        [rate, name, errors[-1]["epoch"], errors[-1]["seconds"], errors[-1]["train_error"], errors[-1]["test_error"]]
        for rate, of in training["errors"].items()
        for name, errors in of.items()
    ]
    yield f"Trained on {training['device']} with PyTorch {training['torch']}; measured at rate {training['rate']}."
    yield ""
    yield from table(["rate", "net", "epochs", "seconds", "training error", "test error"], ends)
    for title, name in (("Fig. 2", "alexnet_compare"), ("Fig. 3", "alexnet_shuffled_compare")):
        for document in _reports(folder, [name]).values():
            yield from (f"## {title}", "")
            yield from compared(document)
    reports = _reports(folder, [f"{name}_analyze" for name in NETS])
    if reports:
        yield from ("## Fig. 4 left", "")
        yield from capacities(reports)
    for name, report in reports.items():
        yield from (f"## Table 1, {name}", "")
        yield from layers(report)
    for name in NETS:
        yield from (f"## Fig. 4 right, {name}", "")
        yield from track(folder, name, training["errors"][str(training["rate"])][name])
    for document in _reports(folder, ["alexnet_noise"]).values():
        yield from ("## Fig. 1", "")
        yield from table(
            ["noise enters layer", "error after it", "error at the logits", "ratio"],
            (
                [curve["source"], first, last, last / first]
                for curve in document["curves"]
                for first, last in [[curve["arrivals"][k]["relative_error"]["median"] for k in (0, -1)]]
            ),
        )


if __name__ == "__main__":
    chosen = Path(sys.argv[1])
    (chosen / "results" / "tables.md").write_text("\n".join(tables(chosen)) + "\n")
