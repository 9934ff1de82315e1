"""What `onnxbound explain` says of each metric, bound and error code."""

from onnxbound.documents.topic import Topic
from onnxbound.errors import CODES
from onnxbound.report.bound_topics import BOUNDS
from onnxbound.report.certificate_topics import CERTIFICATES
from onnxbound.report.compression_topics import BUILT_BOUNDS, METHODS
from onnxbound.report.metric_topics import METRICS
from onnxbound.stability.catalogue import CATALOGUE

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *dict.fromkeys(prop.topic for prop in CATALOGUE),
        *METRICS,
        *BOUNDS,
        *BUILT_BOUNDS,
        *METHODS,
        *CERTIFICATES,
        *(Topic(code, "error", text) for code, text in CODES.items()),
    )
}
"""Every topic by its name."""


def closest(name: str) -> list[str]:
    """Topics whose names resemble a word, the closest first."""
    import difflib

    wanted = name.lower().replace(" ", "_")
    inside = [topic for topic in TOPICS if wanted and wanted in topic]
    return list(dict.fromkeys([*inside, *difflib.get_close_matches(wanted, TOPICS, n=5, cutoff=0.4)]))[:5]
