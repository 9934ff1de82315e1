"""Combinations of settings that contain every pair of values at least once."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Settings = dict[str, Any]


def pairwise(
    parameters: Mapping[str, Sequence[Any]], valid: Callable[[Settings], bool] = lambda _: True
) -> list[Settings]:
    """Settings that are valid and together cover every pair of values that some valid setting contains.

    Greedy: of the settings that contain the first pair not yet covered, the one that covers most.
    """
    names = tuple(parameters)
    rows = [row for row in product(*parameters.values()) if valid(dict(zip(names, row, strict=True)))]
    places = tuple(combinations(range(len(names)), 2))
    pairs = [tuple((i, j, repr(row[i]), repr(row[j])) for i, j in places) for row in rows]
    holding: dict[tuple[int, int, str, str], list[int]] = {}
    for number, contained in enumerate(pairs):
        for pair in contained:
            holding.setdefault(pair, []).append(number)
    uncovered = dict.fromkeys(holding)
    chosen = []
    while uncovered:
        candidates = holding[next(iter(uncovered))]
        best = max(candidates, key=lambda number: sum(pair in uncovered for pair in pairs[number]))
        chosen.append(best)
        for pair in pairs[best]:
            uncovered.pop(pair, None)
    return [dict(zip(names, rows[number], strict=True)) for number in chosen]


def describe(settings: Settings) -> str:
    """Settings as part of a test's name; those that are None are left out."""

    def written(value: Any) -> str:
        return "x".join(map(str, value)) if isinstance(value, tuple) else str(value)

    return ",".join(f"{name}={written(value)}" for name, value in settings.items() if value is not None)
