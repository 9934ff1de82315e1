"""What a report says, in sentences for people who have not read the paper."""

from collections.abc import Iterator

from onnxbound.analysis.result import Report
from onnxbound.report.words import at_most, percentage

_LARGE_GAP = 0.1
"""From such a gap between test and training error on a net is said to overfit."""

_WORTH_SAVING = 0.1
"""Share of the weights from which on it is said that they are superfluous."""

_DIFFERS = 2.0
"""Two shares of n rows differ if they are further apart than this over sqrt n, twice the largest standard deviation."""


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
    if gap > _LARGE_GAP:
        yield "It overfits: what it has learnt of the training rows does not carry over to the test rows."


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
    known = [layer for layer in report.layers if layer.effective_parameters is not None]
    if len(known) < len(report.layers):
        return
    weights = sum(layer.parameters for layer in known)
    saved = {layer.index: max(0.0, layer.parameters - (layer.effective_parameters or 0)) for layer in known}
    share, most = sum(saved.values()) / weights, max(saved, key=lambda index: saved[index])
    if share >= _WORTH_SAVING:
        yield (
            f"By the paper's measure, constants dropped, {percentage(100 * share)} of the {weights:,} weights are"
            f" superfluous, most of them in layer {most}."
        )
    else:
        yield (
            f"By the paper's measure, constants dropped, {percentage(100 * share) if share else 'none'} of the"
            f" {weights:,} weights are superfluous: nothing that is worth compressing."
        )


def _noise(report: Report) -> Iterator[str]:
    """Compare the layers under noise in their weights; only where the errors differ by more than their sampling."""
    noise = report.weight_noise
    known = [(layer.error_under_weight_noise, layer.index) for layer in report.layers]
    errors = sorted((error, index) for error, index in known if error is not None)
    if noise is None or len(errors) < 2:
        return
    (least, best), (most, worst) = errors[0], errors[-1]
    tried = f"noise of {noise.radius:.0%} in the weights of one layer"
    if most - least <= _DIFFERS / noise.rows**0.5:
        yield (
            f"On {noise.rows:,} rows {tried} leaves an error between {least:.1%} and {most:.1%}, {noise.error:.1%}"
            " without noise: no layer stands out."
        )
        return
    yield (
        f"On {noise.rows:,} rows {tried} raises the error most at layer {worst}, from {noise.error:.1%} to {most:.1%},"
        f" and least at layer {best}, to {least:.1%}."
    )
