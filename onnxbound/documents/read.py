"""Read documents from JSON into the dataclasses that they were written from."""

import json
import sys
import types
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from onnxbound.documents.document import Document
from onnxbound.errors import DataError, Problem
from onnxbound.results import UpperBound

_LARGEST = 1 << 28
"""Bytes of a document; a report of a hundred layers has about thirty million."""

_LARGEST_NUMBER = 1 << 64
"""Largest whole number; whole numbers count things, and are drawn as floats."""

T = TypeVar("T", bound=Document)


class _MismatchError(Exception):
    """A value has the wrong type for its place."""


def read_document(path: Path, *kinds: type[T]) -> T:
    """Read a document; keys that a later version has added are ignored.

    Args:
        path: A file, or - for stdin.
        kinds: The classes that are accepted; the document's schema says which it is.

    Raises:
        DataError: report-not-found or report-invalid.
    """
    document = _load(path)
    schema = document.get("schema") if isinstance(document, dict) else None
    kind = {kind.SCHEMA: kind for kind in kinds}.get(schema) if isinstance(schema, str) else None
    if kind is None:
        known = " or ".join(repr(kind.SCHEMA) for kind in kinds)
        raise _invalid(path, f"its schema is {schema!r}, not {known}" if schema else "it has no key 'schema'")
    try:
        result = _of(kind, document, "")
    except (_MismatchError, OverflowError) as error:
        raise _invalid(path, str(error)) from error
    assert isinstance(result, kind)
    return result


def _load(path: Path) -> Any:
    try:
        if path == Path("-"):
            return json.loads(sys.stdin.read(_LARGEST))
        if path.stat().st_size > _LARGEST:
            raise _invalid(path, f"it is larger than {_LARGEST:,} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        why = error.strerror or str(error)
        problem = Problem(str(path), why, "`Report.save` writes one")
        raise DataError("report-not-found", f"{path} cannot be read: {why}.", [problem]) from error
    except (ValueError, RecursionError) as error:
        raise _invalid(path, f"it is not JSON: {error}") from error


def _invalid(path: Path, why: str) -> DataError:
    problem = Problem(str(path), why, "`Report.save` writes one")
    return DataError("report-invalid", f"{path} is not a report of onnxbound.", [problem])


def _of(kind: Any, value: Any, where: str) -> Any:
    """Convert a JSON value to an object of a type, field by field."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _of_union(arguments, value, where)
    if origin is Literal:
        return _require(value in arguments if isinstance(value, str) else False, value, where, " or ".join(arguments))
    if origin is tuple:
        _require(isinstance(value, list), value, where, "a list")
        return tuple(_of(arguments[0], entry, f"{where}[{place}]") for place, entry in enumerate(value))
    if origin in (Mapping, dict):
        _require(isinstance(value, dict), value, where, "an object")
        return {key: _of(arguments[1], entry, f"{where}.{key}") for key, entry in value.items()}
    if is_dataclass(kind) and kind is not UpperBound:
        return _of_dataclass(kind, value, where)
    return _of_scalar(kind, value, where)


def _of_union(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    if value is None and types.NoneType in kinds:
        return None
    *others, last = [kind for kind in kinds if kind is not types.NoneType]
    for kind in others:
        with suppress(_MismatchError):
            return _of(kind, value, where)
    return _of(last, value, where)


def _of_dataclass(kind: Any, value: Any, where: str) -> Any:
    _require(isinstance(value, dict), value, where, "an object")
    hints, given = _hints(kind), {}
    for field in fields(kind):
        place = f"{where}.{field.name}" if where else field.name
        if "keys" in field.metadata:
            given[field.name] = _of_keys(hints[field.name], value, where, field.metadata["keys"])
            continue
        if field.name not in value and field.default is not MISSING:
            continue  # an older version wrote it
        if field.name not in value:
            raise _MismatchError(f"{place} is missing")
        given[field.name] = _of(hints[field.name], value[field.name], place)
    try:
        return kind(**given)
    except ValueError as error:
        raise _MismatchError(f"{where}: {error}") from error


_hints = cache(get_type_hints)


def _of_keys(kind: Any, value: Any, where: str, keys: tuple[str, ...]) -> dict[str, Any]:
    """Read a mapping whose entries are keys of the object itself."""
    entries = {}
    for key in keys:
        entry, place = value, where
        for name in key.split("."):
            _require(isinstance(entry, dict), entry, place, "an object")
            place = f"{place}.{name}"
            if name not in entry:
                raise _MismatchError(f"{place} is missing")
            entry = entry[name]
        entries[key] = _of(get_args(kind)[1], entry, place)
    return entries


def _of_scalar(kind: Any, value: Any, where: str) -> Any:
    if kind is UpperBound:
        return UpperBound(_of_scalar(float, value, where), "as the report says")
    if kind is float:
        fine = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
        return float(_require(fine, value, where, "a number"))
    fine = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
    fine = fine and (kind is not int or abs(value) <= _LARGEST_NUMBER)
    return _require(fine, value, where, {str: "text", int: "a whole number", bool: "true or false"}[kind])


def _require(fine: bool, value: Any, where: str, what: str) -> Any:
    if not fine:
        raise _MismatchError(f"{where} is {json.dumps(value)[:40]}, not {what}")
    return value
