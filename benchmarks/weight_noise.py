"""Which layer is the most sensitive: weight-noise sensitivity and layer cushion against noise that is really put in.

    ONNXBOUND_TEST_DATA=DIR python -m benchmarks.weight_noise

Trained nets of at least two layers, the committed ones and those in `DIR/models` and `DIR/models/more`. Writes
`weight-noise.md` beside this file.
"""

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Batch
from onnxbound.errors import ModelError
from onnxbound.experiments.kendall import kendall
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.results import Float64Array
from onnxbound.stability.layer_cushion import layer_cushion
from onnxbound.stability.row_margins import margins
from onnxbound.stability.weight_noise import sensitivities
from onnxbound.stability.weight_noise_errors import noisy_logits
from tests.oracle.models import Model, fixtures, public_models

ROWS, DRAWS, RADII = 500, 16, (0.05, 0.2)
SENSITIVITY_ROWS = 100
OTHER_SEED = 1
"""The noise that is put in has nothing to do with what the sensitivity is measured with."""

UNTRAINED = {"cifar10_cnn_init", "cifar10_cnn_epoch1", "cifar10_cnn_epoch4", "cifar10_cnn_epoch16"}


@dataclass(frozen=True, slots=True)
class Found:
    """One net; arrays have one entry per layer.

    Attributes:
        name: The net.
        sensitivity: Median.
        cushion: Smallest layer cushion.
        change: Relative length of the noise to the relative rms change of the logits under it, median over rows.
        error: The same to the training error under it, mean over draws.
        spread: Standard error of the latter at the longest noise, over draws.
        clean: Training error without noise.
    """

    name: str
    sensitivity: Float64Array
    cushion: Float64Array
    change: dict[float, Float64Array]
    error: dict[float, Float64Array]
    spread: Float64Array
    clean: float


def smallest_cushions(network: Network, x: NDArray[np.float32]) -> Float64Array:
    work = network.cast(np.float32)
    values = linearise(work, x, {name for layer in work.layers for name in (layer.input, layer.output)}).values

    def norm(name: str) -> Float64Array:
        return np.asarray(np.linalg.norm(values[name].reshape(len(x), -1).astype(np.float64), axis=1))

    cushions = [
        layer_cushion(norm(layer.output), sqrt(layer.operator.frobenius_squared()), norm(layer.input))
        for layer in network.layers
    ]
    return np.asarray(np.nanmin(cushions, axis=1))


def measure(model: Model, network: Network) -> Found:
    total = 600 if model in fixtures() and model.dataset == "cifar10" else 1000
    index = np.arange(0, total, total // ROWS)[:ROWS]
    x, labels = model.rows(index)
    few = Batch(index[:: ROWS // SENSITIVITY_ROWS], x[:: ROWS // SENSITIVITY_ROWS], labels[:: ROWS // SENSITIVITY_ROWS])
    clean_error, change, error, spread = np.nan, {}, {}, np.zeros(network.depth)
    for radius in RADII:
        clean, *noisy = noisy_logits(
            network.cast(np.float32), x, seed=OTHER_SEED, draws=DRAWS, radius=radius, threads=None
        )
        drawn = np.array(noisy).reshape(network.depth, DRAWS, *clean.shape)
        moved = np.sqrt(np.sum((drawn - clean) ** 2, axis=3).mean(axis=1)) / np.linalg.norm(clean, axis=1)
        change[radius] = np.median(moved, axis=1)
        wrong = np.array([[np.mean(~(margins(one, labels) > 0)) for one in layer] for layer in drawn])
        error[radius], spread = wrong.mean(axis=1), wrong.std(axis=1, ddof=1) / np.sqrt(DRAWS)
        clean_error = float(np.mean(~(margins(clean, labels) > 0)))
    return Found(
        name=model.name,
        sensitivity=np.median(sensitivities(network, [few], seed=0).values, axis=0),
        cushion=smallest_cushions(network, x),
        change=change,
        error=error,
        spread=spread,
        clean=clean_error,
    )


def tau(x: Float64Array, y: Float64Array) -> float | None:
    return kendall(x.tolist(), y.tolist()).tau


def shown(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def named(found: Found, place: int) -> str:
    """A layer, and the training error with noise in it."""
    return f"{place + 1} ({found.error[RADII[-1]][place]:.1%})"


def is_worst(found: Found, place: int) -> bool:
    """Whether no other layer's error is larger by more than two standard errors of the difference of both."""
    error = found.error[RADII[-1]]
    worst = int(error.argmax())
    return bool(error[worst] - error[place] <= 2 * np.hypot(found.spread[worst], found.spread[place]))


def harmed(found: Found) -> bool:
    """Whether noise in some layer costs a point of training error or more."""
    return bool(found.error[RADII[-1]].max() >= found.clean + 0.01)


def table(rows: list[Found]) -> list[str]:
    head = (
        "net | layers | error | worst layer | by sensitivity | by cushion"
        " | tau: error 20 % | cushion | tau: logits 5 % | cushion | tau: logits 20 % | cushion"
    )
    lines = [f"| {head} |", "|" + "---|" * 12]
    for found in rows:
        long, fragile = found.error[RADII[-1]], 1 / found.cushion
        cells = [f"`{found.name}`", str(len(long)), f"{found.clean:.1%}"]
        if harmed(found):
            cells.append(named(found, int(long.argmax())))
            places = (int(found.sensitivity.argmax()), int(fragile.argmax()))
            cells += [named(found, i) if is_worst(found, i) else f"**{named(found, i)}**" for i in places]
        else:
            cells += ["none", str(found.sensitivity.argmax() + 1), str(fragile.argmax() + 1)]
        truths = (long if harmed(found) else np.zeros(len(long)), *(found.change[radius] for radius in RADII))
        cells += [shown(tau(own, truth)) for truth in truths for own in (found.sensitivity, fragile)]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def summary(rows: list[Found]) -> str:
    harm = [found for found in rows if harmed(found)]

    def right(best: Callable[[Found], int]) -> int:
        return sum(is_worst(found, best(found)) for found in harm)

    def mean(own: Callable[[Found], Float64Array], radius: float) -> float:
        found = [tau(own(row), row.change[radius]) for row in rows]
        return float(np.mean([value for value in found if value is not None]))

    def first(own: Callable[[Found], Float64Array]) -> int:
        return sum(own(row).argmax() == row.change[RADII[-1]].argmax() for row in rows)

    by = {"sensitivity": lambda row: row.sensitivity, "cushion": lambda row: 1 / row.cushion}
    sentences = [
        f"The {name} names the worst layer in {right(lambda row, own=own: int(own(row).argmax()))} of the {len(harm)}"
        " nets where noise of 20 % costs a point of training error. It names the layer where this noise moves the"
        f" logits most in {first(own)} of {len(rows)} nets. Its mean tau with the change of the logits is"
        f" {mean(own, RADII[0]):.2f} at 5 % and {mean(own, RADII[-1]):.2f} at 20 %."
        for name, own in by.items()
    ]
    for radius in RADII:
        ratio = np.concatenate([row.change[radius] / (radius * row.sensitivity) for row in rows])
        sentences.append(
            f"The change of the logits at {radius:.0%} is {ratio.min():.2f} to {ratio.max():.2f} times what the"
            f" sensitivity predicts, and {np.median(ratio):.2f} times for the median layer."
        )
    return " ".join(sentences)


def main() -> None:
    """Run, print, write."""
    rows = []
    for model in (*fixtures(), *public_models(), *public_models("models/more")):
        try:
            network = load(model.path)
        except ModelError as error:
            print(f"{model.name}: {error}", flush=True)
            continue
        if network.depth < 2 or model.name in UNTRAINED:
            continue
        rows.append(found := measure(model, network))
        print(f"{found.name}: clean {found.clean:.2%}", flush=True)
        for layer in network.layers:
            i = layer.index - 1
            numbers = [f"{found.change[radius][i]:.3f} {found.error[radius][i]:.2%}" for radius in RADII]
            print(
                f"  {layer.place}: {found.sensitivity[i]:.3f}, cushion {found.cushion[i]:.4f}: ", *numbers, flush=True
            )
    text = (
        "This page shows whether the weight-noise sensitivity and the layer cushion find the layer where noise in the"
        " weights does the most harm. Noise is added to the weights of one layer at a time. The noise is 5 % or 20 % as"
        f" long as the weights, with {DRAWS} draws each. On {ROWS} training rows, the benchmark measures the error"
        " (mean over draws) and the relative rms change of the logits (median over rows). The columns of the table:"
    )
    columns = (
        "error: the training error without noise",
        "worst layer: the layer with the largest error under noise of 20 %; none, if noise in no layer costs a point",
        f"by sensitivity: the layer with the largest median weight-noise sensitivity at {SENSITIVITY_ROWS} rows",
        "by cushion: the layer with the smallest layer cushion",
        "tau: Kendall's tau over the layers, of the sensitivity with the error, or with the change of the logits",
        "cushion, behind each tau: the same tau for the inverse of the layer cushion",
    )
    bold = (
        "In brackets is the error under noise of 20 % in the layer. A layer in bold is wrong: with noise in another"
        " layer, the error is larger by more than two standard errors."
    )
    lines = ["# Noise in weights", "", *textwrap.wrap(text, 120), "", *(f"* {column}" for column in columns), ""]
    lines += [*textwrap.wrap(bold, 120), "", *textwrap.wrap(summary(rows), 120), ""]
    Path(__file__).with_name("weight-noise.md").write_text("\n".join([*lines, *table(rows)]) + "\n")


if __name__ == "__main__":
    main()
