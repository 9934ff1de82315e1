"""What a report says, in sentences for people who have not read the paper."""

from collections.abc import Iterator

from onnxbound.analysis.document import LayerReport, Report
from onnxbound.report.words import at_most, number, percentage


def sentences(report: Report) -> tuple[str, ...]:
    """Errors, bounds, compression, noise: one sentence or two each."""
    return (*_errors(report), *_bounds(report), *_compression(report), *_noise(report))


def _errors(report: Report) -> Iterator[str]:
    data = report.data
    seen = f"The net errs on {data.train_error:.2%} of the {data.rows:,} rows that it was trained on"
    if data.test_error is None:
        yield f"{seen}. No test set was given, so nothing here says how it does on other rows but the bounds."
        return
    gap = data.test_error - data.train_error
    yield f"{seen} and on {data.test_error:.2%} of the test rows: the true gap is {100 * gap:.1f} percentage points."


def _bounds(report: Report) -> Iterator[str]:
    data, chance = report.data, 1 - 1 / report.data.classes
    proved = [b for b in report.bounds if b.kind != "as_plotted" and b.met and b.value is not None]
    useful = [bound for bound in proved if not bound.vacuous]
    seen = [bound for bound in useful if bound.name != "holdout"]
    for bound in useful:
        confidence, drawn = 1 - (bound.delta or 0.0), "training" if bound in seen else "test"
        yield (
            f"{bound.name} proves, with probability {confidence:.1%} over the draw of the {drawn} rows, that the error"
            f" on new rows is at most {at_most(bound.value, 100)}%."
        )
    if not seen:
        yield (
            f"No bound from the training rows is better than guessing, which errs on {chance:.0%}. With {data.rows:,}"
            f" rows for {report.model.parameters:,} trained numbers that is the usual outcome, and no sign that the net"
            " is bad."
        )


def _compression(report: Report) -> Iterator[str]:
    known = [(layer.compression_percent, layer) for layer in report.layers if layer.compression_percent is not None]
    if not known:
        return
    small = [layer for percent, layer in known if percent < 100]
    percent, best = min(known, key=lambda entry: entry[0])
    if small:
        most = f"layer {best.index} most of all, with" if len(small) > 1 else "it counts as"
        yield (
            f"By the noise that it does not feel, {_named(small)} could do with fewer numbers than it has: {most}"
            f" {percentage(percent)} of its weights, constants dropped."
        )
    else:
        yield (
            "By the paper's measure, constants dropped, no layer could do with fewer numbers than it has; closest comes"
            f" layer {best.index}, with {percentage(percent)} of its weights."
        )


def _noise(report: Report) -> Iterator[str]:
    cushions = [(layer.layer_cushion.min, layer.index) for layer in report.layers if layer.layer_cushion is not None]
    if len(cushions) > 1:
        (low, worst), (high, best) = min(cushions), max(cushions)
        yield (
            f"Noise in the weights harms most at layer {worst}, whose cushion falls to {number(low)} on some row, and"
            f" least at layer {best}, where it stays above {number(high)}."
        )


def _named(layers: list[LayerReport]) -> str:
    listed = ", ".join(str(layer.index) for layer in layers)
    return f"layer {listed}" if len(layers) == 1 else f"each of the layers {listed}"
