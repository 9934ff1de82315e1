"""Verbs whose parameters are groups of options."""

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from onnxbound.cli.examples import EXAMPLES
from onnxbound.cli.options import set_threads

_PANELS = {
    "OptionalRowOptions": "Rows",
    "RowOptions": "Rows",
    "LabelOptions": "Rows",
    "WholeFileOptions": "Rows",
    "RowsOfSeveral": "Rows",
    "EvidenceOptions": "Rows",
    "ModelOptions": "How the model is read",
    "NoiseOptions": "What is measured",
    "MeasureOptions": "What is measured",
    "MethodOptions": "Method",
    "BudgetOptions": "Budget",
    "OutputOptions": "Output",
    "ModelOutputOptions": "Output",
    "ResultOptions": "Output",
    "PageOptions": "Output",
    "FolderOptions": "Output",
}
"""The panel of an option in the help, by the first group that declares it; others are options of one verb."""


class Verbs(TyperGroup):
    """The commands, each with its whole summary."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, str(verb.help)) for name, verb in self.commands.items()])


class Verb(TyperCommand):
    """A command whose help shows options by purpose, and ends with examples."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section per panel."""
        order = list(dict.fromkeys(("Arguments", "Rows", "Options", *_PANELS.values())))
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            argument = parameter.param_type_name == "argument"
            panel = "Arguments" if argument else getattr(parameter, "rich_help_panel", None) or "Options"
            if record is not None:
                panels.setdefault(panel, []).append(record)
        for panel in sorted(panels, key=order.index):
            with formatter.section(panel):
                formatter.write_dl(panels[panel])
        with formatter.section("Examples"):
            for example in EXAMPLES[str(self.name)]:
                formatter.write(f"  {example}\n")  # in one line, however long, to be copied


def grouped(verb: Callable[..., None]) -> Callable[..., None]:
    """Declare a verb to typer: a parameter whose type is a dataclass stands for all its fields.

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
            for entry in fields(groups[name]):
                first = next(k for k in reversed(groups[name].__mro__) if entry.name in inspect.get_annotations(k))
                parameters.append(_declared(entry.name, own[entry.name], entry, _PANELS.get(first.__name__)))
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


def _declared(name: str, hint: Any, default: Any, panel: str | None = None) -> inspect.Parameter:
    """Declare a parameter of a verb, or the field of a group, to typer."""
    if isinstance(default, Field):
        said, default = dict(default.metadata), default.default
        if said.pop("place", False):
            hint = Annotated[hint, typer.Argument(**said, show_default=False)]
        elif said:
            flags = said.pop("flags") or (f"--{name.replace('_', '-')}",)
            hint = Annotated[hint, typer.Option(*flags, **said)]
        if panel:
            option = copy(hint.__metadata__[0])  # which verbs share
            option.rich_help_panel = panel
            hint = Annotated[hint.__origin__, option]
    default = inspect.Parameter.empty if default is MISSING else default
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
