"""Explanations of every property, bound, method and error code, as `onnxbound explain` prints them."""

import tomllib
from pathlib import Path

from onnxbound.documents.topic import Topic
from onnxbound.errors import CODES
from onnxbound.report.certificate_topics import CERTIFICATES
from onnxbound.report.compression_topics import BUILT_BOUNDS, METHODS
from onnxbound.stability.catalogue import CATALOGUE

_FILE = Path(__file__).with_name("topics.toml")
"""Explanations that belong to no record of the code."""

TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *dict.fromkeys(prop.topic for prop in CATALOGUE),
        *(Topic(name, **entries) for name, entries in tomllib.loads(_FILE.read_text("utf-8")).items()),
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
