"""What decides well how many bits each layer gets: four ways to order the steps down, at the same bits per weight.

    ONNXBOUND_TEST_DATA=DIR python -m benchmarks.widths [NAME ...]

Nets of three to fourteen layers, the committed ones and those in `DIR/models` and `DIR/models/more`. Writes `widths.md`
beside this file.
"""

import argparse
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.model_rows import rows_of
from benchmarks.weight_noise import UNTRAINED
from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.rounder import Rounder
from onnxbound.compressors.widths import Plan, steps_down
from onnxbound.compressors.write import to_model
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU
from onnxbound.run.logits import Logits
from tests.oracle.models import Model, fixtures, public_models

CALIBRATED, MEASURED = 1000, 200
WIDTHS, BUDGETS = (8, 6, 5, 4, 3, 2), (5, 4, 3)
ALONE = 4
"""Bits at which the ablation rounds one layer."""

WAYS = ("equal", "rounding error", "cushions", "sensitivity", "ablation")
HERE = Path(__file__)


@dataclass(frozen=True, slots=True)
class Cell:
    """One plan: bits per weight, the relative change of the logits (rms over test rows), and test accuracy."""

    bits: float
    change: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Measured:
    """One net: its own accuracy, and (way, budget) to what came of it."""

    name: str
    layers: int
    accuracy: float
    cells: Mapping[tuple[str, int], Cell]


@dataclass(frozen=True)
class Trial:
    """Runs rounded networks on test rows.

    Attributes:
        network: The original.
        rounder: Rounds it.
        x: Test rows.
        labels: Theirs.
        before: The original's logits.
    """

    network: Network
    rounder: Rounder
    x: NDArray[np.float32]
    labels: NDArray[np.int64]
    before: NDArray[np.float64]

    def run(self, compressed: CompressedNetwork) -> tuple[float, float]:
        """Relative change of the logits, and accuracy."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rounded.onnx"
            onnx.save(to_model(compressed, {}, factorise=False), path)
            after = Logits(load(path), CPU, None, together=True).run(self.x)
        change = np.sqrt(((after - self.before) ** 2).sum() / (self.before**2).sum())
        return float(change), accuracy(after, self.labels)

    def cell(self, plan: Plan) -> Cell:
        """Of one plan."""
        return Cell(bits(self.rounder, plan), *self.run(self.rounder.compressed(plan)))


def accuracy(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def bits(rounder: Rounder, plan: Plan) -> float:
    """Per weight."""
    sizes = {index: site.matrix.size for index, site in rounder.sites.items()}
    return sum(plan[index] * size for index, size in sizes.items()) / sum(sizes.values())


def within(rounder: Rounder, noise: Mapping[int, float], budget: int) -> Plan:
    """As many steps down as leave at least so many bits per weight."""
    plan = dict.fromkeys(rounder.sites, WIDTHS[0])
    for index, width in steps_down(rounder.sites, rounder.calibration, noise, WIDTHS):
        if width < plan[index] and bits(rounder, plan | {index: width}) >= budget:
            plan[index] = width
    return plan


def importances(trial: Trial, rows: Rows) -> dict[str, Mapping[int, float]]:
    """Way to layer to how much noise of relative size 1 in it matters.

    By the paper's Lemma 10 that is 1 / (mu_i mu_i->), layer cushion and minimal interlayer cushion; by ablation, the
    change of the logits where that layer alone is rounded, over the size of the noise.
    """
    rounder, layers = trial.rounder, trial.rounder.sites
    samples = analyze(trial.network, rows, Settings(measured=MEASURED, probes=4)).samples
    layer, onwards = samples["layer_cushion"], samples["minimal_interlayer_cushion.clipped"]
    cushion = np.nanmin(layer, axis=0) * np.nanmin(np.nan_to_num(onwards, nan=1.0), axis=0)
    alone = {index: trial.run(rounder.compressed({index: ALONE}))[0] for index in layers}
    return {
        "rounding error": dict.fromkeys(layers, 1.0),
        "cushions": {index: 1 / float(cushion[index - 1]) for index in layers},
        "sensitivity": rounder.importance(),
        "ablation": {index: alone[index] / np.sqrt(rounder.calibration.alone(index, ALONE)) for index in layers},
    }


def measure(model: Model, network: Network) -> Measured:
    """All ways and budgets."""
    (x, labels), (unseen, wanted) = rows_of(model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, x=x[:CALIBRATED], y=labels[:CALIBRATED])
        rows = open_rows(file, network, Preprocessing())
        rounder = Rounder(network, (), rows, CPU, None, 0)
        before = Logits(network, CPU, None, together=True).run(unseen)
        trial = Trial(network, rounder, unseen, wanted, before)
        cells = {("equal", b): trial.cell(dict.fromkeys(rounder.sites, b)) for b in BUDGETS}
        for way, noise in importances(trial, rows).items():
            cells |= {(way, b): trial.cell(within(rounder, noise, b)) for b in BUDGETS}
    return Measured(model.name, len(rounder.sites), accuracy(before, wanted), cells)


def table(found: Sequence[Measured], budget: int) -> list[str]:
    """Of one budget: points of accuracy that are lost, and in brackets the change of the logits; the least in bold."""
    lines = ["| net | layers | accuracy | " + " | ".join(WAYS) + " |", "|" + "---|" * (3 + len(WAYS))]
    for net in found:
        cells = {way: net.cells[way, budget] for way in WAYS}
        least = min(cell.change for cell in cells.values())
        marks = {way: "**" * (cell.change == least) for way, cell in cells.items()}
        shown = [
            f"{100 * (net.accuracy - cell.accuracy):.2f} ({marks[way]}{cell.change:.3f}{marks[way]})"
            for way, cell in cells.items()
        ]
        lines.append(f"| `{net.name}` | {net.layers} | {net.accuracy:.2%} | " + " | ".join(shown) + " |")
    return lines


def summary(found: Sequence[Measured], budget: int) -> str:
    """Means over the nets: the change of the logits over that with equal widths, and the points lost."""

    def ratio(way: str) -> float:
        return float(
            np.exp(
                np.mean([np.log(net.cells[way, budget].change / net.cells["equal", budget].change) for net in found])
            )
        )

    def lost(way: str) -> float:
        return float(np.mean([100 * (net.accuracy - net.cells[way, budget].accuracy) for net in found]))

    said = [f"{way} {ratio(way):.2f} and {lost(way):.2f}" for way in WAYS]
    return f"Means: {'; '.join(said)}."


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    names = parser.parse_args().names
    found = []
    for model in (*fixtures(), *public_models(), *public_models("models/more")):
        if model.name in UNTRAINED or model.dataset == "fashion_mnist" or (names and model.name not in names):
            continue
        try:
            network = load(model.path)
        except ModelError as error:
            print(f"{model.name}: {error}", flush=True)
            continue
        if network.depth < 3 or network.batch is not None:
            continue
        found.append(measure(model, network))
        print(
            found[-1].name,
            {key: f"{c.bits:.2f} {c.change:.3f} {c.accuracy:.2%}" for key, c in found[-1].cells.items()},
            flush=True,
        )
    text = (
        "This page compares five ways to choose how many bits each layer gets. Nets were rounded as `compress` rounds"
        f" them, with {CALIBRATED:,} training rows or all there are. On average a weight gets 5, 4 or 3 bits, or"
        " slightly more. The first way, equal, gives all layers the same number of bits. The other ways start with 8"
        " bits in every layer. They lower the bits of one layer after another, always where the damage per saved bit is"
        " least, until the average is reached. The damage is (importance x rounding error)^2. These ways differ in the"
        " importance of a layer:"
    )
    ways = (
        "rounding error: the importance is 1",
        (
            "cushions: 1 / (layer cushion x minimal interlayer cushion), as in the [paper](../docs/glossary.md), from"
            f" {MEASURED} rows"
        ),
        "sensitivity: the weight-noise sensitivity, which `compress` uses",
        (
            f"ablation: the change of the logits if only this layer is rounded to {ALONE} bits, divided by its rounding"
            " error"
        ),
    )
    cells = (
        "The ablation sees the test rows. The tables give the points of accuracy lost on 10,000 test rows and, in"
        " brackets, the relative change of the logits. The smallest change is in bold. Above each table are two means"
        " over the nets for each way: the geometric mean of the change of the logits divided by that of equal, and the"
        " mean of the points lost."
    )
    listed = "\n".join(f"* {way}" for way in ways)
    parts = ["# Bits per layer", textwrap.fill(text, 120), listed, textwrap.fill(cells, 120)]
    for budget in BUDGETS:
        parts += [f"## {budget} bits", textwrap.fill(summary(found, budget), 120), "\n".join(table(found, budget))]
    page = "\n\n".join(parts) + "\n"
    print(page)
    if not names:
        HERE.with_suffix(".md").write_text(page)


if __name__ == "__main__":
    main()
