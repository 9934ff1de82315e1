"""`onnxbound explain`."""

import textwrap
from typing import Annotated

import typer

from onnxbound.cli.options import Debug, Json

TopicArgument = Annotated[
    str, typer.Argument(metavar="[TOPIC]", help="A metric, bound, certificate, method, error or schema; none lists.")
]


def explain(topic: TopicArgument = "", *, as_json: Json = False, debug: Debug = False) -> None:
    """Explain a metric, bound, method or error code: definition, source, unit, assumptions; or print a JSON Schema."""
    del debug
    from onnxbound.cli.documents import Topics
    from onnxbound.cli.output import emit
    from onnxbound.cli.schemas import every_schema
    from onnxbound.documents.document import to_json_text
    from onnxbound.errors import Problem, UsageError
    from onnxbound.report.topics import TOPICS, closest

    schemas = every_schema()
    if not topic:
        kinds = ("metric", "bound", "certificate", "method", "error")
        names = {kind: tuple(t.name for t in TOPICS.values() if t.kind == kind) for kind in kinds}
        names["schema"] = tuple(schemas)
        document = Topics(names).to_json()
        listed = "\n\n".join(f"{kind}s\n" + "\n".join(f"  {name}" for name in names[kind]) for kind in names)
        emit(to_json_text(document) if as_json else listed + "\n", None, force=False)
        return
    if topic in schemas:
        emit(to_json_text(schemas[topic]), None, force=False)
        return
    if topic not in TOPICS:
        near = ", ".join(closest(topic)) or "'onnxbound explain' lists them all"
        problem = Problem("explain", f"{topic!r} is no metric, bound, method or error code", f"closest: {near}")
        raise UsageError("explain-unknown", f"There is no topic {topic!r}.", [problem])
    found = TOPICS[topic]
    if as_json:
        emit(to_json_text(found.to_json()), None, force=False)
        return
    lines = [f"{found.name} ({found.kind})", "", *textwrap.wrap(found.text, 88)]
    for label in ("formula", "source", "unit", "assumptions"):
        value = getattr(found, label)
        if value:
            lines += ["", *textwrap.wrap(f"{label}: {value}", 88, subsequent_indent="  ")]
    emit("\n".join(lines) + "\n", None, force=False)
