"""`onnxbound explain`."""

from onnxbound.cli.grouped import grouped
from onnxbound.cli.options import argument
from onnxbound.cli.output_options import OutputOptions

_TOPIC = "A name from a report, or a bound, method, certificate, error or schema; by default list all."


def _topics(incomplete: str) -> list[str]:
    from onnxbound.report.topics import TOPICS

    return [name for name in TOPICS if name.startswith(incomplete)]


@grouped
def explain(*, topic: str = argument("[TOPIC]", _TOPIC, "", _topics), result: OutputOptions) -> None:
    """Explain a metric, bound, method, certificate or error code, or print a JSON Schema."""
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
    known = explained(topic)
    result.show(Topics({**known.topics, "schema": tuple(schemas)}) if isinstance(known, Topics) else known)
