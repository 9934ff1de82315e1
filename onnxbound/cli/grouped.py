"""Verbs whose parameters are groups of options."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

from onnxbound.cli.options import set_threads


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb as typer sees it: a parameter whose type is one of the dataclasses above stands for all its fields.

    >>> from pathlib import Path
    >>> from onnxbound.cli.groups import RowOptions
    >>> @grouped
    ... def verb(model: Path, rows: RowOptions) -> None: ...
    >>> list(inspect.signature(verb).parameters)[:3]
    ['model', 'data', 'labels']
    """
    hints = get_type_hints(verb, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if is_dataclass(kind) and isinstance(kind, type)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(verb).parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        kind = groups[parameter.name]
        field_hints = get_type_hints(kind, include_extras=True)
        for entry in fields(kind):
            default = inspect.Parameter.empty if entry.default is MISSING else entry.default
            parameters.append(
                inspect.Parameter(
                    entry.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=field_hints[entry.name]
                )
            )

    def flat(**given: Any) -> None:
        set_threads(given.get("threads"))
        if "device" in given:
            from onnxbound.run.installation import import_onnxruntime

            import_onnxruntime()
        taken = {
            name: kind(**{entry.name: given.pop(entry.name) for entry in fields(kind)}) for name, kind in groups.items()
        }
        verb(**given, **taken)

    ordered = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    flat.__name__, flat.__doc__ = verb.__name__, verb.__doc__
    flat.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in ordered}
    return flat
