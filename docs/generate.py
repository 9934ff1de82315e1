"""Write the pages that are made from the program itself: python -m docs.generate."""

import json
import re
from pathlib import Path
from typing import Any

import typer

from onnxbound.cli.app import app
from onnxbound.cli.flags import changed, in_flags
from onnxbound.cli.schemas import every_schema
from onnxbound.documents.schema import file_of
from onnxbound.report.topics import TOPICS

HERE = Path(__file__).parent
_MADE = "<!-- Made by python -m docs.generate; a test compares it with the program. -->"

_EXIT_CODES = (
    "An option has the same name, meaning and default in every command. Exit codes: 0 done; 1 a condition of"
    " `--fail-if` holds, or a certificate does not verify; 2 usage; 3 model; 4 data; 5 device; 6 output; 70 a fault of"
    " onnxbound; 130 interrupted."
)
_SYMBOLS = (
    "`onnxbound explain NAME` prints each of these; names are those of the report. Symbols: S the training rows, f the"
    " net, d its weighted layers, A^i a layer's weight, a^i what enters it, x^i what leaves it, J the Jacobian. [A] is"
    " Arora, Ge, Neyshabur and Zhang, *Stronger generalization bounds for deep nets via a compression approach*, 2018."
)


def pages() -> dict[str, str]:
    """Every generated page by its file name."""
    return {"cli.md": _reference(), "metrics.md": _metrics()}


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
