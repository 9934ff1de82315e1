"""Which arrays of a file are the inputs and the labels."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import prod
from typing import Any, Literal

import numpy as np

from onnxbound.errors import DataError, Problem, argument

Role = Literal["train", "test"]
Headers = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Key to shape and element type."""

_INPUTS = ("x", "X", "images", "data", "inputs", "image")
_LABELS = ("y", "Y", "labels", "label", "targets")


def input_key(
    headers: Headers, name: str, input_name: str, row: tuple[int, ...], role: Role, wanted: str | None
) -> str:
    """Find the key of the inputs.

    It is the name of the graph's input; else the only array with a usual name and the suffix of its role; else the only
    one with a usual name. If there are several, the rank decides. If `input_name` is empty, only the names in the file
    decide, and several are refused: a net must not choose, by the name or the rank of its input, what it is tested on.

    Args:
        headers: What the file holds.
        name: The file, for messages.
        input_name: Name of the model's input; empty if names and ranks of the model must not count.
        row: Shape of a row of that input; the rank is the number of axes longer than 1.
        role: Which suffix to prefer.
        wanted: The key that the caller names.

    Raises:
        DataError: data-key; it suggests the only array whose rows have as many entries.
    """

    def matches(key: str) -> bool:
        return not input_name or sum(n != 1 for n in headers[key][0][1:]) == sum(n != 1 for n in row)

    def likely(key: str) -> bool:
        shape, dtype = headers[key]
        return dtype.kind in "fiub" and len(shape) > 1 and prod(shape[1:]) == prod(row)

    tiers = [[f"{input_name}_{role}"], [input_name], [f"{key}_{role}" for key in _INPUTS], _INPUTS, [f"x_{role}"]]
    tiers = tiers if input_name else tiers[2:4]
    chosen = wanted if wanted is not None else _only(headers, tiers, matches)
    return _present(headers, name, chosen, "inputs", "x_key", filter(likely, headers), role)


def label_key(headers: Headers, name: str, role: Role, wanted: str | None) -> str:
    """Find the key of the labels: the only array of integers or text with a usual name, names of the role first.

    Raises:
        DataError: data-key; it suggests the only array of one integer per row.
    """

    def matches(key: str) -> bool:
        return headers[key][1].kind in "iubUS"

    def likely(key: str) -> bool:
        shape, dtype = headers[key]
        return dtype.kind in "iub" and len(shape) > 0 and prod(shape[1:]) == 1

    tiers = [[f"{key}_{role}" for key in _LABELS], _LABELS]
    chosen = wanted if wanted is not None else _only(headers, tiers, matches)
    return _present(headers, name, chosen, "labels", "y_key", filter(likely, headers), role)


def part_keys(
    headers: Headers,
    name: str,
    parts: Sequence[str],
    input_name: str,
    role: Role,
    wanted: str | None,
    labels: str | None,
) -> list[str]:
    """Find the keys of several inputs per row, in the model's order.

    They have the names of the inputs, names of the role first. If names of the model must not count, the caller lists
    them. Labels are no input, whatever a model calls its inputs.

    Raises:
        DataError: data-key; every array that is missing is listed.
    """
    if wanted is not None:
        keys = wanted.split(",")
    elif input_name:
        keys = [key if (key := f"{part}_{role}") in headers else part for part in parts]
    else:
        keys = []
    listed = ", ".join(f"{key} {dtype} {shape}" for key, (shape, dtype) in sorted(headers.items())) or "no arrays"
    do = f"name the arrays in the order {', '.join(parts)}: `x_key`"
    problems = [Problem(f"array {key!r}", f"{name} has {listed}", do) for key in keys if key not in headers]
    problems += [Problem(f"array {key!r}", "it holds the labels", do) for key in keys if key == labels]
    if len(keys) != len(parts) or len(set(keys)) != len(keys):
        problems.append(Problem("`x_key`", f"{len(set(keys))} arrays for {len(parts)} inputs; {name} has {listed}", do))
    if problems:
        raise DataError("data-key", f"{name} does not hold all inputs of a row.", problems)
    return keys


def _only(headers: Headers, tiers: Sequence[Sequence[str]], matches: Callable[[str], bool]) -> str | None:
    """Choose the only key of the first tier that is there; of several, the one that matches."""
    for tier in tiers:
        there = [key for key in tier if key in headers]
        if there:
            fitting = [key for key in there if matches(key)] if len(there) > 1 else there
            return fitting[0] if len(fitting) == 1 else None
    return None


def _present(
    headers: Headers, name: str, key: str | None, what: str, parameter: str, likely: Iterable[str], role: Role
) -> str:
    if key is not None and key in headers:
        return key
    candidates = list(likely)
    best = [other for other in candidates if role in other.lower()] or candidates
    suggestion = {parameter: best[0]} if len(best) == 1 else {}
    listed = ", ".join(f"{other} {dtype} {shape}" for other, (shape, dtype) in sorted(headers.items())) or "no arrays"
    if key is None:
        message, where = f"It is not clear which array of {name} holds the {what}.", name
    else:
        message, where = f"{name} has no array {key!r}.", argument(parameter, key)
    do = f"name the array with the {what}: {argument(parameter, best[0]) if suggestion else f'`{parameter}`'}"
    raise DataError("data-key", message, [Problem(where, f"it has {listed}", do)], suggestion)
