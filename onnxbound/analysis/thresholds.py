"""Thresholds such as "arora > 1e6": conditions on the numbers of a report that make a run fail."""

import operator
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import inf
from typing import Any

from onnxbound.analysis.result import Report
from onnxbound.analysis.settings import Settings
from onnxbound.bounds.every_bound import NAMES
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.documents.paths import flatten
from onnxbound.documents.schema import schema_of
from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.stability.interlayer_cushion import INTERLAYER_CUSHION

_BOUNDS = (*NAMES, "holdout", "compressed")
_OF_TESTS = ("holdout", "data.test_error", "data.gap", "data.test_rows")
"""Names of numbers that are null without a test set."""

_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_EXTREME = re.compile(r"(min|max)\((\w+)\.([\w.-]+)\)")
_THRESHOLD = re.compile(rf"\s*({_EXTREME.pattern}|[\w.-]+)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition that must not hold.

    Attributes:
        text: As it was given.
        name: A bound, a dotted name of the report, or the extreme of one over all entries of a list.
        comparison: One of < <= > >= == !=.
        limit: The number to compare with.
    """

    text: str
    name: str
    comparison: str
    limit: float


def parse_threshold(text: str) -> Threshold:
    """Read "NAME OP NUMBER"; `min(layers.NAME)` and `max(layers.NAME)` are over all layers, or pairs, or classes.

    Raises:
        UsageError: usage-threshold.

    >>> parse_threshold("arora > 1e6").limit, parse_threshold("min(layers.layer_cushion.min) < 0.01").comparison
    (1000000.0, '<')
    """
    match = _THRESHOLD.fullmatch(text)
    if match is not None and _NUMBER.fullmatch(match[6]):
        return Threshold(text, match[1], match[5], float(match[6]))
    examples = "write one such as 'data.train_error > 0.03' (3 %), or 'min(layers.layer_cushion.min) < 0.01'"
    problem = Problem("condition", "it is not NAME OP NUMBER", examples)
    raise UsageError("usage-gate", f"{text!r} is not a condition.", [problem])


def require_known(
    thresholds: Iterable[Threshold], network: Network, settings: Settings, *, tested: bool = True
) -> None:
    """Refuse names that are no number of the report, before anything is computed.

    Args:
        thresholds: The conditions.
        network: The net.
        settings: What will be measured.
        tested: Whether there will be a test set.

    Raises:
        UsageError: usage-gate, with the closest names.
    """
    untested = [] if tested else [t for t in thresholds if t.name in _OF_TESTS]
    if untested:
        problems = [Problem(t.text, f"{t.name} needs a test set", "give `test_rows`") for t in untested]
        raise UsageError("usage-gate", f"Without a test set the report has no {untested[0].name}.", problems)
    names = known_names(network, settings)
    unknown = [t for t in thresholds if not any(_is_known(name, names) for name in _behind(t.name, names))]
    if not unknown:
        return
    problems = []
    for threshold in unknown:
        extreme = _EXTREME.fullmatch(threshold.name)
        wanted = f"{extreme[2]}.1.{extreme[3]}" if extreme else threshold.name
        near = ", ".join(get_close_matches(wanted, names, cutoff=0))
        all_of_them = "the CSV of a report (report REPORT.json -o names.csv) lists all"
        problems.append(
            Problem(threshold.text, f"it has no number {threshold.name!r}", f"closest: {near}; {all_of_them}")
        )
    raise UsageError("usage-gate", f"The report of {network.path} has no number {unknown[0].name!r}.", problems)


def _is_known(name: str, names: Container[str]) -> bool:
    """Whether a report has that number, or a list of numbers with such a place."""
    return name in names or re.sub(r"\.\d+$", ".#", name) in names


def known_names(network: Network, settings: Settings) -> set[str]:
    """Return the dotted names of every number that a report will have; # stands for a place in a list of numbers."""
    worst = [str(place) for place in range(settings.worst)]
    pairs = INTERLAYER_CUSHION.places(network, output_only=settings.pairs == "output")
    entries: dict[str, Iterable[object]] = {
        "layers": range(1, network.depth + 1),
        "pairs": [f"{source}-{target}" for source, target in pairs],
        "bounds": _BOUNDS,
        "per_class": range(network.classes),
        "worst.smallest_margin": worst,
        "worst.smallest_cushion": worst,
    }
    parts = ((Report, ""), (Settings, "settings"), (Preprocessing, "settings.preprocessing"))
    return {*_BOUNDS, *(name for kind, prefix in parts for name in _numbers(schema_of("", kind), prefix, entries))}


def _numbers(schema: Mapping[str, Any], name: str, entries: Mapping[str, Iterable[object]]) -> Iterator[str]:
    for kind in schema.get("anyOf", [schema]):
        for key, value in kind.get("properties", {}).items():
            if key != "histogram":
                yield from _numbers(value, f"{name}.{key}".removeprefix("."), entries)
        if kind.get("type") == "array":
            for key in entries.get(name, "#"):
                yield from _numbers(kind["items"], f"{name}.{key}", entries)
        if kind.get("type") in ("integer", "number", "boolean"):
            yield name


def failures(report: Report, thresholds: Iterable[Threshold]) -> list[str]:
    """Say which conditions hold; a condition on a number that is null or not there counts as held."""
    numbers = dict(flatten(report.to_json())) | {bound.name: _bound_value(bound) for bound in report.bounds}
    reasons = {bound.name: f", {bound.met_reason}" for bound in report.bounds}
    return [text for threshold in thresholds if (text := _failure(numbers, reasons, threshold))]


def _failure(numbers: dict[str, Any], reasons: Mapping[str, str], threshold: Threshold) -> str:
    names = _behind(threshold.name, numbers)
    for name in names:
        if name not in numbers:
            return f"{threshold.text}: there is no number {name!r} in the report"
        if not isinstance(value := numbers[name], int | float):
            return f"{threshold.text}: {name} is {'null' if value is None else repr(value)}{reasons.get(name, '')}"
    extreme = max if threshold.name.startswith("max(") else min
    place = extreme(names, key=lambda name: numbers[name])
    if _COMPARISONS[threshold.comparison](numbers[place], threshold.limit):
        return f"{threshold.text}: {'it' if place == threshold.name else place} is {numbers[place]:.6g}"
    return ""


def _behind(name: str, numbers: Iterable[str]) -> list[str]:
    """The dotted names behind a name: the name itself, or for an extreme one per entry of the list.

    >>> _behind("max(layers.beta.max)", ["layers.1.index", "layers.2.index", "data.rows"])
    ['layers.1.beta.max', 'layers.2.beta.max']
    """
    extreme = _EXTREME.fullmatch(name)
    if extreme is None:
        return [name]
    _, of, rest = extreme.groups()
    entries = dict.fromkeys(known.split(".")[1] for known in numbers if known.startswith(f"{of}."))
    return [f"{of}.{entry}.{rest}" for entry in entries]


def _bound_value(bound: Any) -> float | None:
    """The value; infinite where it is too large for a float."""
    return inf if bound.value is None and bound.log10 is not None else bound.value
