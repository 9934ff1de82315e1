"""Gates: conditions under which a run counts as failed, `--fail-if "arora > 1e6"`."""

import operator
import re
from dataclasses import dataclass
from math import inf
from typing import Any

from onnxbound.analysis.document import Report
from onnxbound.documents.paths import flatten
from onnxbound.errors import Problem, UsageError

_COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GATE = re.compile(r"\s*([\w.-]+)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Gate:
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


def parse_gate(text: str) -> Gate:
    """Read "NAME OP NUMBER".

    Raises:
        UsageError: usage-gate.

    >>> parse_gate("arora > 1e6").limit
    1000000.0
    """
    match = _GATE.fullmatch(text)
    if match is not None and _NUMBER.fullmatch(match[3]):
        return Gate(text, match[1], match[2], float(match[3]))
    raise UsageError(
        "usage-gate",
        f"--fail-if {text!r} is not a condition.",
        [Problem("--fail-if", "it is not NAME OP NUMBER", 'for example --fail-if "arora > 1e6"')],
    )


def failures(report: Report, gates: list[Gate]) -> list[str]:
    """Which conditions hold, in words; a number that is null or not there counts as failed."""
    numbers = dict(flatten(report.to_json())) | {bound.name: _bound_value(bound) for bound in report.bounds}
    return [text for gate in gates if (text := _failure(numbers, gate))]


def _failure(numbers: dict[str, Any], gate: Gate) -> str:
    if gate.name not in numbers:
        return f"{gate.text}: there is no number {gate.name!r} in the report"
    value = numbers[gate.name]
    if not isinstance(value, int | float):
        return f"{gate.text}: {gate.name} is {'null' if value is None else repr(value)}"
    if _COMPARISONS[gate.comparison](value, gate.limit):
        return f"{gate.text}: it is {value:.6g}"
    return ""


def _bound_value(bound: Any) -> float | None:
    """The value; infinite where it is too large for a float."""
    return inf if bound.value is None and bound.log10 is not None else bound.value
