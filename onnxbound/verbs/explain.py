"""`explain` and `env`."""

from onnxbound.documents.topic import Topic, Topics
from onnxbound.errors import Problem, UsageError
from onnxbound.report.topics import TOPICS, closest, topic_of
from onnxbound.run.environment import Environment, describe


def explain(topic: str = "") -> Topic | Topics:
    """Explain a metric, bound, method, certificate or error code.

    Args:
        topic: Its name, as in a report, an error or the head of a table's column; empty lists all names.

    Returns:
        Definition, source, unit and assumptions; or the names by kind.

    Raises:
        UsageError: explain-unknown, with the closest names.

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
    """Describe versions, providers and device: a block to paste into an issue.

    Returns:
        What is installed, and what works here.

    >>> from onnxbound import env
    >>> env().onnxbound
    '0.1.0'
    """
    return describe()
