"""`explain` and `env`."""

from onnxbound.documents.topic import Topic, Topics
from onnxbound.errors import Problem, UsageError
from onnxbound.report.topics import TOPICS, closest, topic_of
from onnxbound.run.environment import Environment, describe


def explain(topic: str = "") -> Topic | Topics:
    """Explain a metric, bound, method, certificate or error code.

    Args:
        topic: A name from a report, an error or the header of a table. An empty name lists all.

    Returns:
        Definition, source, unit and assumptions; or all names by kind.

    Raises:
        UsageError: explain-unknown. The error suggests the closest names.

    >>> from onnxbound import explain
    >>> explain("layer_cushion").source
    'Arora, Ge, Neyshabur, Zhang 2018 [A] Definition 4'
    """
    if not topic:
        kinds = ("metric", "bound", "certificate", "method", "error")
        return Topics({kind: tuple(t.name for t in TOPICS.values() if t.kind == kind) for kind in kinds})
    known = topic_of(topic)
    if known is None:
        near = ", ".join(closest(topic)) or "'onnxbound explain' lists them all"
        problem = Problem("explain", f"{topic!r} is no metric, bound, method or error code", f"closest: {near}")
        raise UsageError("explain-unknown", f"There is no topic {topic!r}.", [problem])
    return known


def env() -> Environment:
    """Describe versions, execution providers and device, to paste into an issue.

    Returns:
        The installed versions, and the device that "auto" chooses.

    >>> from onnxbound import env
    >>> env().onnxbound
    '0.1.0'
    """
    return describe()
