"""What noise, compare, track and rank print and draw, number by number, against SciPy and the nets themselves."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import scipy.stats
from onnx import numpy_helper

from onnxbound.experiments import kendall
from tests.cli.command import onnxbound
from tests.nets import random_mlp

SIZES = ([5, 8, 3], [5, 7, 6, 3], [5, 8, 3], [5, 4, 3], [5, 16, 3], [5, 9, 3])
DASH = "\N{EN DASH}"
ROWS, TEST_ROWS = 60, 40
PROPERTIES = (
    "layer_cushion", "minimal_interlayer_cushion", "contraction", "smoothness_inverse", "beta", "noise_sensitivity",
    "weight_noise_sensitivity",
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six nets, two of them with equal gaps, on 60 rows and 40 test rows."""
    path = tmp_path_factory.mktemp("nets")
    random = np.random.default_rng(0)
    arrays = {"y_train": np.arange(ROWS) % 3, "y_test": np.arange(TEST_ROWS) % 3}
    for name, count in (("x_train", ROWS), ("x_test", TEST_ROWS)):
        arrays[name] = random.normal(size=(count, 5)).astype(np.float32)
    np.savez(path / "rows.npz", **arrays)
    for number, sizes in enumerate(SIZES):
        random_mlp(path / f"net{number}.onnx", sizes, seed=number)
    return path


def command(folder: Path, verb: str, nets: int) -> list[str]:
    first = 1 if verb == "noise" else 0
    models = [str(folder / f"net{number}.onnx") for number in range(first, first + nets)]
    test = ["--test", str(folder / "rows.npz")] if verb in {"rank", "track"} else []
    return [verb, *models, "--data", str(folder / "rows.npz"), *test, "-q"]


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, tuple[dict[str, Any], str, Path]]:
    """Of each verb: its JSON, its table, and the folder of its figures."""
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    found = {}
    for verb, nets in (("noise", 1), ("compare", 3), ("track", 6), ("rank", 6)):
        words = command(folder, verb, nets)
        plots = folder / f"plots-{verb}"
        table = onnxbound(*words, *(["--plots", plots] if verb in ("track", "rank") else ["-v"]))
        assert table.code == 0, table.stderr
        found[verb] = (onnxbound(*words, "--json").json(), table.stdout, plots)
    return found


def shown(value: float | None) -> str:
    """Three significant digits, by the rule of the documentation and not by the program's function."""
    if value is None:
        return DASH
    return f"{value:,.0f}" if float(value) == int(value) and abs(value) < 1e6 else f"{value:.3g}"


def section(table: str, title: str) -> list[list[str]]:
    """The rows below a title, without the heads of the columns, cut where two blanks are."""
    lines = table.split(f"{title}\n", 1)[1].split("\n\n")[0].splitlines()
    return [re.split(r"\s{2,}", line.strip()) for line in lines[1:] if line.strip()]


def error_of(folder: Path, number: int, kind: str) -> int:
    """How many rows a net gets wrong, from its file in NumPy."""
    tensors = [numpy_helper.to_array(t) for t in onnx.load(folder / f"net{number}.onnx").graph.initializer]
    with np.load(folder / "rows.npz") as data:
        x, y = data[f"x_{kind}"].astype(np.float64), data[f"y_{kind}"]
    for k in range(0, len(tensors), 2):
        x = (np.maximum(x, 0) if k else x) @ tensors[k].T + tensors[k + 1]
    own = x[np.arange(len(y)), y]
    x[np.arange(len(y)), y] = -np.inf
    return int(np.sum(~(own > x.max(axis=1))))


@pytest.mark.parametrize("verb", ["noise", "compare", "track", "rank"])
def test_csv_is_the_json(verb: str, folder: Path) -> None:
    """Under its dotted name; histograms stay in the JSON and in the data of the figures."""

    def numbers(value: Any, path: str) -> dict[str, str]:
        if isinstance(value, dict):
            parts = [(f"{path}.{key}" if path else key, entry) for key, entry in value.items() if key != "histogram"]
        elif isinstance(value, list):
            parts = [(f"{path}.{place}", entry) for place, entry in enumerate(value)]
        else:
            return {path: "" if value is None else str(value)}
        return {name: text for key, entry in parts for name, text in numbers(entry, key).items()}

    words = command(folder, verb, 1 if verb == "noise" else 2)
    document = onnxbound(*words, "--json").json()
    lines = dict(csv.reader(io.StringIO(onnxbound(*words, "--format", "csv").stdout)))
    assert lines.pop("name") == "value"
    assert lines == numbers(document, "")


def test_rank_table(folder: Path, results: dict[str, Any]) -> None:
    document, table, _ = results["rank"]
    gaps = []
    for number, (standing, row) in enumerate(
        zip(document["standings"], section(table, "Gaps between test and training error"), strict=True)
    ):
        trained, tested = error_of(folder, number, "train"), error_of(folder, number, "test")
        assert standing["net"]["train_error"] == pytest.approx(trained / ROWS, abs=1e-12)
        assert standing["test_error"] == pytest.approx(tested / TEST_ROWS, abs=1e-12)
        low, high = scipy.stats.binomtest(tested, TEST_ROWS).proportion_ci(0.95, "exact")
        gaps.append(tested * ROWS - trained * TEST_ROWS)
        gap, ends = gaps[-1] / (ROWS * TEST_ROWS), (low - trained / ROWS, high - trained / ROWS)
        assert (standing["gap"], standing["gap_low"], standing["gap_high"]) == pytest.approx((gap, *ends))
        shares = (trained / ROWS, tested / TEST_ROWS, gap, *ends)
        assert row == [f"net{number}", *(f"{100 * share:.2f} %" for share in shares)]
    assert len(set(gaps)) < len(gaps), "no ties are tested"
    printed = section(table, "Rank correlation with the gap (95 % intervals, from five nets on)")
    for place, (entry, row) in enumerate(zip(document["capacities"], printed, strict=True)):
        name, c = entry["capacity"], entry["correlation"]
        logs = [standing["net"]["log10_capacities"][name] for standing in document["standings"]]
        tau = scipy.stats.kendalltau(logs, gaps).statistic
        expected = (tau, *kendall.interval(tau, len(logs)))
        assert (c["tau"], c["low"], c["high"]) == pytest.approx(expected, abs=1e-9)
        assert row[0] == name
        assert row[-4:] == [*map(shown, expected), "6"]
        assert [line[1 + place] for line in section(table, "Capacities, for comparison only")] == [
            shown(round(log, 2)) for log in logs
        ]


def test_capacities_are_those_of_analyze(folder: Path, results: dict[str, Any]) -> None:
    for number in (1, 3):
        words = ("analyze", folder / f"net{number}.onnx", "--data", folder / "rows.npz", "--json", "-q")
        bounds = {b["name"]: b["log10"] for b in onnxbound(*words).json()["bounds"] if b["kind"] == "as_plotted"}
        for verb in ("track", "rank"):
            assert results[verb][0]["standings"][number]["net"]["log10_capacities"] == pytest.approx(bounds, rel=1e-5)


@pytest.mark.parametrize("verb", ["track", "rank"])
def test_rescaling_is_one_factor(verb: str, results: dict[str, Any]) -> None:
    """sqrt(capacity / m) times what makes the largest one the largest gap."""
    document = results[verb][0]
    top = max(standing["gap"] for standing in document["standings"])
    for entry in document["capacities"]:
        logs = [standing["net"]["log10_capacities"][entry["capacity"]] for standing in document["standings"]]
        roots = np.sqrt(10 ** np.array(logs) / ROWS)
        assert entry["rescaled"] == pytest.approx(list(top * roots / roots.max()), rel=1e-9)
        if verb == "track":
            assert (entry["correlation"]["low"], entry["correlation"]["high"]) == (None, None)


def test_compare_table(folder: Path, results: dict[str, Any]) -> None:
    document, table, _ = results["compare"]
    samples = []
    for number in range(3):
        file = folder / f"samples{number}.npz"
        words = ("analyze", folder / f"net{number}.onnx", "--data", folder / "rows.npz", "-q", "--samples", file)
        assert onnxbound(*words, "-o", folder / f"table{number}.txt").code == 0
        with np.load(file) as arrays:
            samples.append(dict(arrays))
    alpha = 0.05 / ((1 + 3 * len(PROPERTIES)) * 3)
    rows = [
        re.fullmatch(r" (?:all|\d|) +net\d .*?(\S+) *", line) for line in table.split("margin\n", 1)[1].splitlines()
    ]
    medians = [row.group(1) for row in rows if row]
    overview = table.split("Properties\n", 1)[1].split("Medians over", 1)[0].splitlines()[1:]
    shared = [own["medians"] for own in document["properties"] if sum(m is not None for m in own["medians"]) > 1]
    assert [cell for line in overview for cell in line.split()[-3:]] == [shown(m) for own in shared for m in own]
    assert medians == [shown(median) for layer in document["properties"] for median in layer["medians"]]
    printed = re.findall(r"(?:(\d+) % \((\d+)-(\d+)\)|equal) vs net\d", table)
    expected = []
    for layer in document["properties"]:
        values = [values_of(one, layer["property"], layer["layer"]) for one in samples]
        for median, value in zip(layer["medians"], values, strict=True):
            assert median == (None if value is None else pytest.approx(np.nanmedian(value), rel=1e-6, abs=1e-12))
        order = {(s["first"], s["second"]): s for s in layer["statements"]}
        for second, first in ((2, 1), (3, 1), (3, 2)):
            x, y = values[first - 1], values[second - 1]
            if x is None or y is None:
                assert (first, second) not in order
                continue
            s, both = order[first, second], ~np.isnan(x + y)
            larger = int(np.sum(y[both] > x[both]))
            interval = scipy.stats.binomtest(larger, int(both.sum())).proportion_ci(1 - alpha, "exact")
            assert (s["rows"], s["larger"]) == (both.sum(), larger)
            assert (s["low"], s["high"]) == pytest.approx((interval.low, interval.high), abs=1e-9)
            assert s["distance"] == pytest.approx(scipy.stats.ks_2samp(x[both], y[both]).statistic)
            shares = tuple(f"{v:.0%}".rstrip("%") for v in (larger / both.sum(), *interval))
            expected.append(("", "", "") if (x[both] == y[both]).all() else shares)
        for histogram, value in zip(layer["histograms"], values, strict=True):
            if value is not None:
                assert histogram["counts"] == np.histogram(value[~np.isnan(value)], histogram["edges"])[0].tolist()
    assert printed == expected


def values_of(samples: dict[str, np.ndarray], name: str, layer: int) -> np.ndarray | None:
    if name == "margin":
        return samples["margin"]
    if layer > samples["beta"].shape[1]:
        return None
    if name == "minimal_interlayer_cushion":
        cushions = samples["interlayer_cushion"][:, layer - 1]
        values = np.nanmin(np.where(np.isnan(cushions), np.inf, cushions), axis=1)
        values[np.isinf(values)] = np.nan
    elif name == "smoothness_inverse":
        values = samples[name][:, layer - 1, -1]
    else:
        values = samples[name][:, layer - 1]
    return None if np.isnan(values).all() else values


def test_noise_table(results: dict[str, Any]) -> None:
    document, table, _ = results["noise"]
    rows = [re.split(r"\s+", line.strip()) for line in table.split("noise into", 1)[1].splitlines()[1:]]
    for curve, row in zip(document["curves"], rows, strict=True):
        medians = [shown(arrival["relative_error"]["median"]) for arrival in curve["arrivals"]]
        assert row == [str(curve["source"]), f"layer{curve['source']}", *medians]


def test_figures_of_track_hold_the_numbers_of_its_json(results: dict[str, Any]) -> None:
    document, _, plots = results["track"]
    rows = list(csv.DictReader(io.StringIO((plots / "track.csv").read_text())))
    values = {name: [float(r["value"]) for r in rows if r["curve"] == name] for name in {r["curve"] for r in rows}}
    (arora,) = (entry for entry in document["capacities"] if entry["capacity"] == "arora")
    assert values["measured gap"] == [standing["gap"] for standing in document["standings"]]
    assert values["arora, rescaled"] == arora["rescaled"]


@pytest.mark.parametrize(("verb", "figure"), [("rank", "rank_gaps"), ("track", "track")])
def test_curves_over_nets_name_them(verb: str, figure: str, results: dict[str, Any]) -> None:
    document, _, plots = results[verb]
    gaps = {standing["net"]["name"]: standing["gap"] for standing in document["standings"]}
    rows = list(csv.DictReader(io.StringIO((plots / f"{figure}.csv").read_text())))
    assert {row["net"]: float(row["value"]) for row in rows if row["curve"] == "measured gap"} == gaps
