"""Verbs whose parameters are groups of options."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer

from onnxbound.cli.options import set_threads


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """A verb as typer sees it: a parameter whose type is a dataclass stands for all its fields.

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
    for name, parameter in inspect.signature(verb).parameters.items():
        if name in groups:
            own = get_type_hints(groups[name], include_extras=True)
            parameters += [_declared(entry.name, own[entry.name], entry) for entry in fields(groups[name])]
        else:
            parameters.append(_declared(name, hints[name], parameter.default))

    def flat(**given: Any) -> None:
        set_threads(given.get("threads"))
        if "device" in given:
            from onnxbound.run.installation import import_onnxruntime

            import_onnxruntime()
        taken = {
            name: kind(**{entry.name: given.pop(entry.name) for entry in fields(kind)}) for name, kind in groups.items()
        }
        verb(**given, **taken)

    flat.__name__, flat.__doc__ = verb.__name__, verb.__doc__
    flat.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    flat.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return flat


def _declared(name: str, hint: Any, default: Any) -> inspect.Parameter:
    """A parameter as typer declares it, from one of a verb or the field of a group."""
    if isinstance(default, Field):
        said, default = dict(default.metadata), default.default
        if said.pop("place", False):
            hint = Annotated[hint, typer.Argument(**said, show_default=False)]
        elif said:
            flags = said.pop("flags") or (f"--{name.replace('_', '-')}",)
            hint = Annotated[hint, typer.Option(*flags, **said)]
    default = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
