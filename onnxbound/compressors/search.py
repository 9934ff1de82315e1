"""Other budgets: the tightest one that keeps the accuracy, and where accuracy breaks."""

from collections.abc import Callable, Sequence

from onnxbound.compressors.budget import Budget
from onnxbound.errors import Problem, UsageError
from onnxbound.words import percent

_RANDOM = tuple(2.0 ** (-step / 2) for step in range(12, -1, -1))


def ladder(method: str) -> tuple[Budget, ...]:
    """Budgets of a method from the tightest to the widest that still is compression."""
    if method == "quantise":
        return tuple(Budget("bits", float(bits)) for bits in range(2, 13))
    if method == "svd":
        return tuple(Budget("energy", 1 - 2.0 ** (-step / 2)) for step in range(1, 31))
    if method == "vector-compress":
        return tuple(Budget("epsilon", 2.0 ** (-step / 2)) for step in range(17))
    return tuple(Budget("keep", share) for share in _RANDOM)


def beyond(method: str) -> tuple[Budget, ...]:
    """Budgets that are no compression any more, to find where a random projection keeps the accuracy at last."""
    return tuple(Budget("keep", 2.0**step) for step in range(1, 8)) if method == "matrix-project" else ()


def tightest(budgets: Sequence[Budget], drop_of: Callable[[Budget], float], allowed: float) -> Budget:
    """The tightest budget whose drop in accuracy is allowed; they are tried one after the other.

    Raises:
        UsageError: compress-target, even the widest loses more.
    """
    for budget in budgets:
        drop = drop_of(budget)
        if drop <= allowed:
            return budget
    problem = Problem(
        "`max_drop`",
        f"even `{budget.knob}={budget.value:g}` loses {percent(drop)}",
        "allow more, or use another `method`",
    )
    raise UsageError(
        "compress-target", f"Every budget that was tried loses more than {percent(allowed)} of accuracy.", [problem]
    )
