"""JSON Schemas, derived from the dataclasses that documents are made of."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from onnxbound.documents.document import nested
from onnxbound.results import UpperBound

FILES = Path(__file__).parent / "schemas"
"""The folder of all schemas, for readers in other languages."""

_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema_of(name: str, kind: type) -> dict[str, Any]:
    """Derive the JSON Schema 2020-12 of a document, a dataclass that carries its name under `schema`.

    Every key is required; unknown keys are allowed, since later versions add some.
    """
    body = _of_dataclass(kind)
    body["properties"] = {**body["properties"], "schema": {"const": name}}
    body["required"] = list(dict.fromkeys(["schema", *body["required"]]))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **body}


def file_of(name: str) -> Path:
    """The file of a schema in this package: onnxbound.report/1 is in report-1.schema.json."""
    return FILES / f"{name.removeprefix('onnxbound.').replace('/', '-')}.schema.json"


def _of_dataclass(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    properties: dict[str, Any] = {}
    for field in fields(kind):
        if "keys" in field.metadata:
            entry = _of(get_args(hints[field.name])[1])
            properties |= _objects(nested(dict.fromkeys(field.metadata["keys"], entry)))
        else:
            properties[field.name] = _of(hints[field.name])
    return {"type": "object", "properties": properties, "required": list(properties)}


def _objects(entries: dict[str, Any]) -> dict[str, Any]:
    """Describe nested keys; an entry that is no schema yet is an object of schemas."""
    return {
        name: entry
        if {"anyOf", "type"} & entry.keys()
        else {"type": "object", "properties": entry, "required": list(entry)}
        for name, entry in entries.items()
    }


def _of(kind: Any) -> dict[str, Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is UpperBound:
        return {"type": "number"}
    if kind in _SCALARS:
        return {"type": _SCALARS[kind]}
    if kind is types.NoneType:
        return {"type": "null"}
    if isinstance(kind, type) and is_dataclass(kind):
        return _of_dataclass(kind)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of(argument) for argument in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _of(arguments[0])}
    if origin in (Mapping, dict):
        values = {} if arguments[1] is Any else _of(arguments[1])
        return {"type": "object", "additionalProperties": values} if values else {"type": "object"}
    return {}
