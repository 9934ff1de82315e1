"""Dotted names for the numbers of a report, the same in conditions and in CSV: `layers.3.layer_cushion.min`."""

from collections.abc import Iterator
from typing import Any

_KEYS = {"layers": ("index",), "pairs": ("source", "target"), "bounds": ("name",), "per_class": ("label",)}
"""The lists of a report whose entries have names, and the keys that make up the name."""


def flatten(document: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """List every number, word and null of a report with its dotted name, without histograms.

    Layers are named by their 1-based index, pairs as `pairs.1-4`, bounds by their name.

    >>> list(flatten({"layers": [{"index": 3, "op": "Conv"}], "schema": "s"}))
    [('layers.3.index', 3), ('layers.3.op', 'Conv'), ('schema', 's')]
    """
    if isinstance(document, dict):
        for key, value in document.items():
            if key != "histogram":
                yield from flatten(value, f"{prefix}.{key}" if prefix else key)
    elif isinstance(document, list):
        for position, value in enumerate(document):
            named = [str(value[key]) for key in _KEYS.get(prefix, ()) if key in value]
            name = "-".join(named) or str(position)
            yield from flatten(value, f"{prefix}.{name}")
    else:
        yield prefix, document
