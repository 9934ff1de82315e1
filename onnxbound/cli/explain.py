"""`onnxbound explain`."""

from typing import Annotated

import typer

from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import OutputOptions

TopicArgument = Annotated[
    str, typer.Argument(metavar="[TOPIC]", help="A metric, bound, certificate, method, error or schema; none lists.")
]


@grouped
def explain(result: OutputOptions, topic: TopicArgument = "") -> None:
    """Explain a metric, bound, method or error code: definition, source, unit, assumptions; or print a JSON Schema."""
    from onnxbound.cli.output import deliver
    from onnxbound.cli.schemas import every_schema
    from onnxbound.documents.document import to_json_text
    from onnxbound.documents.topic import Topics
    from onnxbound.verbs.explain import explain as explained

    result.require_writable()
    schemas = every_schema()
    if topic in schemas:
        deliver(to_json_text(schemas[topic]), result.target, force=result.force)
        return
    found = explained(topic)
    result.show(Topics({**found.topics, "schema": tuple(schemas)}) if isinstance(found, Topics) else found)
