"""Which arrays of a file are the inputs and the labels."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from onnxbound.errors import DataError, Problem

Role = Literal["train", "test"]
Headers = Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]
"""Key to shape and element type."""

_INPUTS = ("x", "X", "images", "data", "inputs", "image")
_LABELS = ("y", "Y", "labels", "label", "targets")


def input_key(headers: Headers, name: str, input_name: str, rank: int, role: Role, wanted: str | None) -> str:
    """The key of the inputs.

    That of the graph's input, else the only array among the usual names with the suffix of its role, else the only one
    without; where several are there, those of matching rank. Where no name is given the file's own names decide alone,
    and several are refused: what a net calls its input, and of which rank it is, must not choose what it is tested on.

    Args:
        headers: What the file holds.
        name: The file, for messages.
        input_name: Name of the model's input; empty where names and ranks of the model are to play no part.
        rank: Axes of a row of the model's input that are longer than 1.
        role: Which suffix to prefer.
        wanted: What --x-key says.

    Raises:
        DataError: data-key.
    """
    if wanted is not None:
        return _present(headers, name, wanted, "--x-key")

    def matches(key: str) -> bool:
        return not input_name or sum(n != 1 for n in headers[key][0][1:]) == rank

    tiers = [[f"{input_name}_{role}"], [input_name], [f"{key}_{role}" for key in _INPUTS], _INPUTS, [f"x_{role}"]]
    tiers = tiers if input_name else tiers[2:4]
    return _choose(headers, name, tiers, matches, "inputs", "--x-key")


def label_key(headers: Headers, name: str, role: Role, wanted: str | None) -> str:
    """The key of the labels: the only integer array among the usual names, those of its role first.

    Raises:
        DataError: data-key.
    """
    if wanted is not None:
        return _present(headers, name, wanted, "--y-key")

    def matches(key: str) -> bool:
        return headers[key][1].kind in "iub"

    tiers = [[f"{key}_{role}" for key in _LABELS], _LABELS]
    return _choose(headers, name, tiers, matches, "labels", "--y-key")


def _present(headers: Headers, name: str, key: str, flag: str) -> str:
    if key not in headers:
        raise DataError(
            "data-key",
            f"{name} has no array {key!r}.",
            [Problem(f"{flag} {key}", f"it has {_listed(headers)}", "name one of these")],
        )
    return key


def _choose(headers: Headers, name: str, tiers: Sequence[Sequence[str]], matches: Any, what: str, flag: str) -> str:
    for tier in tiers:
        there = [key for key in tier if key in headers]
        fitting = [key for key in there if matches(key)] if len(there) > 1 else there
        if len(fitting) == 1:
            return fitting[0]
        if there:
            break
    raise DataError(
        "data-key",
        f"The {what} cannot be told apart in {name}.",
        [Problem(name, f"it has {_listed(headers)}", f"say which array holds the {what}: {flag} KEY")],
    )


def _listed(headers: Headers) -> str:
    if not headers:
        return "no arrays"
    return ", ".join(f"{key} {dtype} {shape}" for key, (shape, dtype) in sorted(headers.items()))
