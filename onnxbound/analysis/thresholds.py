"""Thresholds: conditions on the numbers of a report under which a run counts as failed, "arora > 1e6"."""

import operator
import re
from collections.abc import Iterable, Iterator, Mapping
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

_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_THRESHOLD = re.compile(r"\s*([\w.-]+)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Threshold:
    """A condition that must not hold.

    Attributes:
        text: As it was given.
        name: A bound, or a dotted name of the report.
        comparison: One of < <= > >= == !=.
        limit: The number to compare with.
    """

    text: str
    name: str
    comparison: str
    limit: float


def parse_threshold(text: str) -> Threshold:
    """Read "NAME OP NUMBER".

    Raises:
        UsageError: usage-threshold.

    >>> parse_threshold("arora > 1e6").limit
    1000000.0
    """
    match = _THRESHOLD.fullmatch(text)
    if match is not None and _NUMBER.fullmatch(match[3]):
        return Threshold(text, match[1], match[2], float(match[3]))
    problem = Problem("condition", "it is not NAME OP NUMBER", "write one such as 'arora > 1e6'")
    raise UsageError("usage-gate", f"{text!r} is not a condition.", [problem])


def require_known(thresholds: Iterable[Threshold], network: Network, settings: Settings) -> None:
    """Refuse, before anything is computed, a name that is no number of the report.

    Raises:
        UsageError: usage-gate, with the closest names.
    """
    names = known_names(network, settings)
    unknown = [t for t in thresholds if not {t.name, re.sub(r"\.\d+$", ".#", t.name)} & names]
    if not unknown:
        return
    problems = []
    for threshold in unknown:
        near = ", ".join(get_close_matches(threshold.name, names, cutoff=0))
        problems.append(Problem(threshold.text, f"it has no number {threshold.name!r}", f"closest: {near}"))
    raise UsageError("usage-gate", f"The report of {network.path} has no number {unknown[0].name!r}.", problems)


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
    """Which conditions hold, in words; a number that is null or not there counts as failed."""
    numbers = dict(flatten(report.to_json())) | {bound.name: _bound_value(bound) for bound in report.bounds}
    return [text for threshold in thresholds if (text := _failure(numbers, threshold))]


def _failure(numbers: dict[str, Any], threshold: Threshold) -> str:
    if threshold.name not in numbers:
        return f"{threshold.text}: there is no number {threshold.name!r} in the report"
    value = numbers[threshold.name]
    if not isinstance(value, int | float):
        return f"{threshold.text}: {threshold.name} is {'null' if value is None else repr(value)}"
    if _COMPARISONS[threshold.comparison](value, threshold.limit):
        return f"{threshold.text}: it is {value:.6g}"
    return ""


def _bound_value(bound: Any) -> float | None:
    """The value; infinite where it is too large for a float."""
    return inf if bound.value is None and bound.log10 is not None else bound.value
