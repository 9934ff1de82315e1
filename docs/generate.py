"""Write the pages that are made from the program itself: python -m docs.generate."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import typer

import onnxbound
from onnxbound.cli.app import app
from onnxbound.cli.flags import changed, in_flags
from onnxbound.cli.schemas import every_schema
from onnxbound.documents.schema import file_of
from onnxbound.report.topics import TOPICS

HERE = Path(__file__).parent
_MADE = "<!-- Made by python -m docs.generate; a test compares it with the program. -->"

_EXIT_CODES = (
    "Commands share most options, with the same meaning and default. Exit codes: 0 success; 1 a check failed;"
    " 2 usage error; 3 model error; 4 data error; 5 device error; 6 output error; 70 a bug in onnxbound; 130"
    " interrupted. Checks are `--fail-if`, `--exit-code`, `--fail-if-worse`, `compress --test` and `verify`."
)
_SYMBOLS = (
    "`onnxbound explain NAME` prints one entry of this page. Most names are those of the report. The"
    " [glossary](glossary.md) explains the terms. [A] is Arora, Ge, Neyshabur and Zhang, *Stronger generalization"
    " bounds for deep nets via a compression approach*, 2018.\n\n"
    "Symbols: S is the set of m training rows, f the net, g a compressed net, and d the number of weighted layers."
    " Layer i has the weight A^i, the input a^i and the output x^i. J is a Jacobian. L\\_0 is the error on new rows,"
    " and Lhat\\_gamma is the share of the training rows whose margin is at most gamma."
)


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {"cli.md": _reference(), "metrics.md": _metrics(), "python.md": _python()}


def _reference() -> str:
    root: Any = typer.main.get_command(app)
    parts = ["# Commands", _MADE, _EXIT_CODES]
    for name, command in root.commands.items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        words = " ".join(f"[{p.metavar.strip('[]')}]" if not p.required else p.metavar for p in arguments)
        rows = [_row(p) for p in command.params if p.param_type_name == "option"]
        table = "\n".join(["| option | default | |", "|---|---|---|", *rows])
        usage = " ".join(filter(None, ("    onnxbound", name, words, "[OPTIONS]")))
        about = [f"* {p.metavar}: {p.help}" for p in arguments]
        parts += [f"## {name}", " ".join((command.help or "").split()), usage, "\n".join(about), table]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(parameter: Any) -> str:
    flags = ", ".join(sorted(parameter.opts, key=len))
    metavar = "" if parameter.is_flag else f" {parameter.metavar}"
    default = getattr(parameter.default, "value", parameter.default)
    shown = "required" if parameter.required else "" if default is None or default is False else f"`{default}`"
    return "| " + " | ".join(_cell(text) for text in (f"`{flags}{metavar}`", shown, parameter.help or "")) + " |"


def _python() -> str:
    """Every public name with its signature and its docstring, whose examples the tests run."""
    about = (
        "Most functions here are commands of the command line. They take a network or files first, then rows, then"
        " keyword arguments. Their results have a short `repr`, display themselves in notebooks, and have `to_json()`"
        " and `save()`. Error messages name the parameter to change. The examples run in a clone of the repository. [A]"
        " is the paper by Arora et al. that the [glossary](glossary.md) names."
    )
    parts = ["# Python", _MADE, about]
    for name in sorted(onnxbound.__all__, key=lambda name: (name[0].isupper(), name)):
        if not name.startswith("__"):
            known = getattr(onnxbound, name)
            parts += [
                f"## {name}",
                f"```python\n{_signature(name, known)}\n```",
                _as_markdown(inspect.getdoc(known) or ""),
                *_methods(known),
            ]
    return "\n\n".join(parts) + "\n"


def _methods(known: Any) -> list[str]:
    """What can be called on an instance, by the first lines of the docstrings."""
    if not isinstance(known, type) or issubclass(known, Exception):
        return []
    found = []
    for name, method in inspect.getmembers(known, inspect.isfunction):
        arguments, said = list(inspect.signature(method).parameters)[1:], inspect.getdoc(method)
        if said and not name.startswith("_"):
            found.append(f"* `{name}({', '.join(arguments)})`: {said.splitlines()[0]}")
    return ["**Methods**", "\n".join(found)] if found else []


def _signature(name: str, known: Any) -> str:
    """The call, a line per argument where one line is too long."""
    if isinstance(known, type) and issubclass(known, Exception):
        return f"class {name}(Exception)"
    arguments = [str(p).replace("onnxbound.", "") for p in inspect.signature(known).parameters.values()]
    arguments = [re.sub(r"(?:[A-Za-z_]\w*\.)+(\w+)", r"\1", argument) for argument in arguments]
    line = f"{name}({', '.join(arguments)})"
    return line if len(line) < 100 else f"{name}(\n    " + ",\n    ".join(arguments) + ",\n)"


def _as_markdown(docstring: str) -> str:
    """Sections as lists, examples as code."""
    lines: list[str] = []
    example = False
    for line in docstring.splitlines():
        if line.lstrip().startswith(">>>") and not example:
            lines.append("```python")
            example = True
        elif example and not line.strip():
            lines.append("```")
            example = False
        entry = re.fullmatch(r"    (\w[\w, ]*): (.*)", line)
        if re.fullmatch(r"(Args|Returns|Raises|Attributes):", line):
            lines += [f"**{line.removesuffix(':')}**", ""]
        elif entry and not example:
            lines.append(f"* `{entry[1]}`: {entry[2]}")
        else:
            lines.append(
                line
                if example
                else re.sub(r"^ {4,8}(?=\S)", "  " if lines and lines[-1][:2] in ("* ", "  ") else "", line)
            )
    return "\n".join([*lines, *(["```"] if example else [])])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _metrics() -> str:
    parts = ["# What every number means", _MADE, _SYMBOLS]
    titles = {
        "metric": "Metrics",
        "bound": "Bounds and capacities",
        "method": "Methods of compression",
        "certificate": "Certificates",
        "error": "Errors",
    }
    for kind, title in titles.items():
        parts.append(f"## {title}")
        for topic in changed(tuple(TOPICS.values()), in_flags):
            if topic.kind == kind:
                facts = [(fact, getattr(topic, fact)) for fact in ("formula", "source", "unit", "assumptions")]
                lines = [f"* {fact}: {_literal(value)}" for fact, value in facts if value not in ("", "-")]
                parts += [f"### {topic.name}", _literal(topic.text), *(["\n".join(lines)] if lines else [])]
    return "\n\n".join(parts) + "\n"


def _literal(text: str) -> str:
    """Text whose asterisks, underscores and brackets stand for themselves in Markdown."""
    return re.sub(r"([*_\[\]<>|])", r"\\\1", text)


def main() -> None:
    """Write them, and the schemas as the files that the package ships."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")
    for name, schema in every_schema().items():
        file_of(name).write_text(json.dumps(schema, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
