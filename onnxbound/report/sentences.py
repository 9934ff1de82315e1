"""What a report says, in sentences for people who have not read the paper."""

from collections.abc import Iterator, Sequence
from math import hypot

from onnxbound.analysis.result import Report
from onnxbound.report.words import at_most, percentage

_LARGE_GAP = 0.1
"""From such a gap between test and training error on a net is said to overfit."""

_WORTH_SAVING = 0.1
"""Share of the weights from which on it is said that they are superfluous."""

_RISE = 0.01
"""The least rise of an error under noise that is spoken of."""

_STANDARD_ERRORS = 2.0
"""Errors under noise differ if they are further apart than so many standard errors of their difference."""

_FEWEST_ROWS = 100
"""Errors on fewer rows, of which one is more than a percent, are not compared."""

_NEAR_CHANCE = 0.9
"""From this share of chance on a net has nothing that noise could take away."""


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
        where = "all" if saved[most] == sum(saved.values()) else "most"
        yield (
            f"By the paper's measure, constants dropped, {percentage(100 * share)} of the {weights:,} weights are"
            f" superfluous, {where} of them in layer {most}."
        )
    else:
        yield (
            f"By the paper's measure, constants dropped, {percentage(100 * share) if share else 'none'} of the"
            f" {weights:,} weights are superfluous: its own compression would not make this net smaller; rounding the"
            " weights may (onnxbound compress)."
        )


def _noise(report: Report) -> Iterator[str]:
    """Say at which layer noise in the weights does most harm, or at which ones if the draws do not tell them apart."""
    noise = report.weight_noise
    errors = {layer.index: e for layer in report.layers if (e := layer.error_under_weight_noise)}
    if noise is None or len(errors) < 2 or noise.rows < _FEWEST_ROWS:
        return
    clean, chance = noise.error_without_noise, 1 - 1 / report.data.classes
    if clean >= _NEAR_CHANCE * chance:
        return
    worst = max(errors.values(), key=lambda error: error.mean)
    tried = f"On {noise.rows:,} rows, noise of {noise.radius:.0%} in the weights of one layer"
    if worst.mean - clean < max(_RISE, _STANDARD_ERRORS * worst.standard_error):
        yield f"{tried} does not raise the error measurably, whichever layer it is."
        return
    alike = {
        index: error.mean
        for index, error in errors.items()
        if worst.mean - error.mean <= _STANDARD_ERRORS * hypot(worst.standard_error, error.standard_error)
    }
    low, high = (f"{of(alike.values()):.0%}" for of in (min, max))
    reached = high if low == high else f"between {low} and {high}"
    if len(alike) == 1:
        yield f"{tried} raises the error most at layer {next(iter(alike))}: from {clean:.0%} to {reached}."
    elif len(alike) == len(errors):
        yield f"{tried} raises the error from {clean:.0%} to {reached}: no layer stands out."
    else:
        named = f"layers {_listed(tuple(alike))}, which the draws do not tell apart"
        yield f"{tried} raises the error most at {named}: from {clean:.0%} to {reached}."


def _listed(indices: Sequence[int]) -> str:
    """Numbers as a list in a sentence, two at least.

    >>> _listed((1, 2, 5))
    '1, 2 and 5'
    """
    *first, last = map(str, indices)
    return f"{', '.join(first)} and {last}"
