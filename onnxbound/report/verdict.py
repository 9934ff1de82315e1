"""What follows from a report, in sentences for people who have not read the paper, and what to do next."""

from collections.abc import Collection, Iterator, Sequence
from math import hypot

from onnxbound.analysis.result import Report
from onnxbound.bounds.bound import Bound
from onnxbound.errors import as_option
from onnxbound.report.view import command
from onnxbound.words import at_most, percent

_LARGE_GAP = 0.1
"""A net overfits, it is said, if test and training error differ by more."""

_WORTH_SAVING = 0.1
"""Superfluous weights are mentioned from this share on."""

_RISE = 0.01
"""A smaller rise of an error under noise is not mentioned."""

_STANDARD_ERRORS = 2.0
"""Errors under noise count as different if they differ by more than so many standard errors."""

_FEWEST_ROWS = 100
"""Errors on fewer rows are not compared, since one row would be more than a percent."""

_ENOUGH_ROWS = 600
"""With fewer test rows no drop of half a point can be guaranteed, even if no decision changes (the rule of three)."""

_NOTHING = {"mean": "0.0", "std": "1.0"}
"""Preprocessing that changes nothing is not repeated in commands."""

_NEAR_CHANCE = 0.9
"""A net with a larger share of the error of guessing has nothing that noise could take away."""


def verdict(report: Report) -> Iterator[str]:
    """Say what is probably wrong with the rows, the errors, the best bound, and which layers matter."""
    yield from (f"{doubt[:1].upper()}{doubt[1:]}." for doubt in report.doubts)
    yield from _errors(report)
    yield from _bounds(report)
    yield from _sensitivity(report)
    yield from _noise(report)
    yield from _compression(report)


def next_steps(report: Report) -> Iterator[tuple[str, str]]:
    """List what to do next with the commands, which repeat the report's preprocessing."""
    useful = best_bound(report) is not None
    open_ = {bound.name for bound in report.bounds if bound.met is None}
    data = report.data
    if data.test_error is None:
        yield "to measure the error on new rows", _command(report, "analyze", test="TEST.npz")
    elif data.test_error - data.train_error > _LARGE_GAP and data.test_path:
        track = _command(report, "track", "CHECKPOINT_1.onnx", "CHECKPOINT_2.onnx", test=data.test_path)
        yield "to see from which checkpoint on it overfits", track
    if "compressed" in open_ and not useful:
        yield "to search for a bound that is better than guessing", _command(report, "certify", output="certificate")
    if (best := best_bound(report)) is not None and best.name == "holdout":
        holdout = _command(report, "certify", data=None, holdout=data.test_path or "TEST.npz", output="by-rows")
        yield "to prove its bound on new rows to others", holdout
    few = data.test_rows is not None and data.test_rows < _ENOUGH_ROWS
    limit = f"; a drop of less than {300 / (data.test_rows or 1):.1f} points needs more test rows" if few else ""
    test = data.test_path or "TEST.npz"
    yield f"to make the file smaller{limit}", _command(report, "compress", test=test, output="small.onnx")


def best_bound(report: Report) -> Bound | None:
    """Find the least bound that holds and is better than guessing."""
    proved = [bound for bound in report.bounds if bound.met and bound.value is not None and not bound.vacuous]
    return min(proved, key=lambda bound: bound.value or 0.0, default=None)


def is_of_the_net(bound: Bound) -> bool:
    """Whether a bound is about the net itself, and not about a compressed copy that its proof makes of it."""
    return bound.name == "holdout"


def _command(report: Report, verb: str, *models: str, **more: str | None) -> str:
    """Write a command with the report's rows and preprocessing; an option that gets None is left out."""
    how = dict(report.settings.get("preprocessing") or {})
    given = {name: as_option(value) for name, value in how.items() if value is not None}
    said = {name: value for name, value in given.items() if value != _NOTHING.get(name)}
    options = {"data": report.data.path, **said, **more}
    return command(verb, *models, report.model.path, **{name: word for name, word in options.items() if word})


def _errors(report: Report) -> Iterator[str]:
    data = report.data
    rows = f"a sample of {data.rows:,} training rows" if data.is_sample else f"the {data.rows:,} training rows"
    seen = f"The net errs on {percent(data.train_error)} of {rows}"
    if data.test_error is None:
        yield f"{seen}. Without a test set only a bound can say how it does on new rows."
        return
    gap = data.test_error - data.train_error
    yield f"{seen} and on {percent(data.test_error)} of the test rows."
    if gap > _LARGE_GAP:
        yield f"It overfits: the test error is {100 * gap:.1f} percentage points above the training error."
    else:
        side = "above" if gap >= 0 else "below"
        yield (
            f"The test error is {abs(100 * gap):.1f} percentage points {side} the training error. Above"
            f" {100 * _LARGE_GAP:.0f} points, a report says that the net overfits."
        )


def _bounds(report: Report) -> Iterator[str]:
    """State the best bound that holds."""
    data, chance = report.data, 1 - 1 / report.data.classes
    best = best_bound(report)
    if best is None:
        yield (
            f"No bound here is better than guessing, which errs on {percent(chance)}. With {data.rows:,} rows for"
            f" {report.model.parameters:,} parameters this is usual; it does not mean that the net is bad."
        )
        return
    drawn = "test" if best.name == "holdout" else "training"
    confidence = percent(1 - (best.delta or 0.0))
    subject, rest = (
        ("It", "") if is_of_the_net(best) else ("A compressed copy of it", "; of the net itself it says nothing")
    )
    unseen = ", if these rows served neither to train nor to choose the net" if best.name == "holdout" else ""
    yield (
        f"{subject} errs on at most {at_most(best.value, 100)} % of new rows, with {confidence} confidence over the"
        f" draw of the {drawn} rows ({best.name}{rest}){unseen}."
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
            f"By the paper's measure, without constants, {percent(share)} of the {weights:,} weights are superfluous,"
            f" {where} of them in layer {most}. The command compress usually saves more, since it rounds what it keeps."
        )
    else:
        few = f"only {percent(share)}" if share else "none"
        yield (
            f"By the paper's measure, without constants, {few} of the {weights:,} weights are superfluous, so the"
            " paper's compression does not pay. Rounding the weights may make the net smaller."
        )


def _sensitivity(report: Report) -> Iterator[str]:
    """Name the layer whose weights need the most precision, by the median over rows."""
    known = {layer.index: s for layer in report.layers if (s := layer.weight_noise_sensitivity)}
    if len(known) < 2:
        return
    medians = {index: s.median for index, s in known.items()}
    highest, rows = max(medians.values()), min(s.rows for s in known.values())
    # A median over n rows is known to about one part in sqrt(n), as rows differ.
    alike = {index: value for index, value in medians.items() if value >= highest * (1 - rows**-0.5)}
    others = {index: value for index, value in medians.items() if index not in alike}
    where = f"layer {next(iter(others))}" if len(others) == 1 else "any other layer"
    rest = f", in {where} by {_between(others.values())}" if others else ""
    if len(alike) == 1:
        start = f"Layer {next(iter(alike))} needs the most precise weights: noise of 1 % in them"
    elif others:
        start = f"Layers {_listed(tuple(alike))} need the most precise weights: noise of 1 % in one of them"
    else:
        start = "All layers need weights of about the same precision: noise of 1 % in one of them"
    yield f"{start} changes the logits by {_between(alike.values())}{rest}."


def _between(values: Collection[float]) -> str:
    """Write the range of what noise of 1 % changes.

    >>> _between([0.6, 0.4]), _between([0.5])
    ('0.4 % to 0.6 %', '0.5 %')
    """
    low, high = (percent(value / 100) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _noise(report: Report) -> Iterator[str]:
    """Name the layer at which noise in the weights does most harm; several if the draws cannot tell them apart."""
    noise = report.weight_noise
    errors = {layer.index: e for layer in report.layers if (e := layer.error_under_weight_noise)}
    if noise is None or len(errors) < 2 or noise.rows < _FEWEST_ROWS:
        return
    clean, chance = noise.error_without_noise, 1 - 1 / report.data.classes
    if clean >= _NEAR_CHANCE * chance:
        return
    worst = max(errors.values(), key=lambda error: error.mean)
    tried = f"noise of {percent(noise.radius)} in the weights of one layer"
    if worst.mean - clean < max(_RISE, _STANDARD_ERRORS * worst.standard_error):
        yield f"N{tried[1:]} does not raise the error measurably on {noise.rows:,} rows (error_under_weight_noise)."
        return
    alike = {
        index: error.mean
        for index, error in errors.items()
        if worst.mean - error.mean <= _STANDARD_ERRORS * hypot(worst.standard_error, error.standard_error)
    }
    low, high = (f"{100 * of(alike.values()):.0f} %" for of in (min, max))
    reached = high if low == high else f"between {low} and {high}"
    change = f"raises the error from {100 * clean:.0f} % to {reached}, on {noise.rows:,} rows"
    if len(alike) == 1:
        yield f"By errors layer {next(iter(alike))} matters most: {tried} {change}, and less in any other layer."
    elif len(alike) == len(errors):
        yield f"By errors no layer stands out: {tried} {change}, whichever layer it is."
    else:
        yield (
            f"By errors layers {_listed(tuple(alike))} matter most: {tried} {change}; the difference between them is"
            " within the random error."
        )


def _listed(indices: Sequence[int]) -> str:
    """Write two or more numbers as a list in a sentence.

    >>> _listed((1, 2, 5))
    '1, 2 and 5'
    """
    *first, last = map(str, indices)
    return f"{', '.join(first)} and {last}"
