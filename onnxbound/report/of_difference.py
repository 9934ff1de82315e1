"""The view of what changed between two reports."""

from collections.abc import Sequence

from onnxbound.analysis.difference import Change, Difference
from onnxbound.report.view import Facts, Section, Table, View
from onnxbound.report.words import shortened
from onnxbound.version import __version__
from onnxbound.words import at_most, counted, number, percent

_OF_INTEREST = ("data.train_error", "data.test_error", "data.gap", "margin.gamma", "bounds.")
_MINOR = (".q05", ".rows", ".undefined", ".standard_error", ".log10")


def difference_view(difference: Difference) -> View:
    """Show the changes that matter most, then the others."""
    shown = [
        change
        for change in difference.changes
        if change.name.startswith(_OF_INTEREST)
        and not change.name.endswith(_MINOR)
        and not any(isinstance(value, str) for value in (change.before, change.after))
    ]
    others = [change for change in difference.changes if change not in shown]
    settings = [
        f"{c.name.removeprefix('settings.')} {_words(c.before)} and {_words(c.after)}"
        for c in difference.changes
        if c.name.startswith("settings.")
    ]
    changed = f"{len(difference.changes):,} of {difference.compared:,} values changed by more than"
    return View(
        title="What changed",
        about=Facts((("before", difference.before), ("after", difference.after))),
        verdict=(
            _worse(difference),
            f"{changed} {_tolerance(difference)}.",
        ),
        sections=(
            *([Section("What matters most", (_table(shown),))] if shown else []),
            *([Section("The others", (_table(others),), long=True)] if others else []),
        ),
        caveats=(
            *([] if difference.same_data else ["The two reports measured different rows."]),
            *([f"The settings differ, as asked for or as time allowed: {', '.join(settings)}."] if settings else []),
            *(
                [f"{counted(len(others), 'more value')} changed; -v lists them in a terminal, the page always."]
                if others
                else []
            ),
        ),
        version=__version__,
    )


def _worse(difference: Difference) -> str:
    """Name the errors and the bounds on the error that are larger than before."""
    if difference.worse:
        said = (f"{c.name} {_value(c, c.before)} to {_value(c, c.after)}" for c in difference.worse)
        return f"Worse: {', '.join(said)}."
    return f"No error and no bound on the error has become larger by more than {_tolerance(difference)} of it."


def _tolerance(difference: Difference) -> str:
    """Write it with all its digits: `percent` would round small ones to 0."""
    return f"{100 * difference.tolerance:.6g} %"


def _table(changes: Sequence[Change]) -> Table:
    rows = tuple(
        (c.name, _value(c, c.before), _value(c, c.after), "" if c.relative is None else f"{100 * c.relative:+.1f} %")
        for c in changes
    )
    return Table("Changes", ("name", "before", "after", "change"), rows)


def _value(change: Change, value: object) -> str:
    """Write a share in percent, a bound rounded up, and any other value as it is."""
    if not change.is_share or not isinstance(value, int | float):
        return _words(value)
    return f"{at_most(value, 100)} %" if change.name.startswith("bounds.") else percent(value)


def _words(value: object) -> str:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return number(value)
    return shortened(str(value), 16)
