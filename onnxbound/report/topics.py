"""Explanations of every property, bound, method and error code, as `onnxbound explain` prints them."""

import re
import tomllib
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from onnxbound.documents.topic import Topic
from onnxbound.results import Statistic
from onnxbound.stability.catalogue import CATALOGUE


def _of(file: str) -> dict[str, Any]:
    """Read explanations that belong to no record of the code."""
    return tomllib.loads(Path(__file__).with_name(file).read_text("utf-8"))


TOPICS: dict[str, Topic] = {
    topic.name: topic
    for topic in (
        *dict.fromkeys(prop.topic for prop in CATALOGUE),
        *(Topic(name, **entries) for name, entries in _of("topics.toml").items()),
        *(Topic(code, "error", text) for code, text in _of("codes.toml").items()),
    )
}
"""Every topic by its name."""

HEADINGS = {
    **{prop.heading: prop.topic.name for prop in CATALOGUE if prop.heading},
    **dict.fromkeys(("|a|_2 kernel", "estimate", "upper"), "spectral_norm"),
    **dict.fromkeys(("log scale", "value", "value / rows"), "capacity"),
    **dict.fromkeys(("precondition", "error at most", "at most"), "bound"),
    "q": "effective_parameters",
    "q/weights": "compression_percent",
    "|a|_f": "frobenius_norm",
    "noise sens.": "noise_sensitivity",
    "1/rho": "smoothness_inverse",
    "1/rho out": "smoothness_inverse",
    "|j|_f": "jacobian_norm",
    "smooth": "smoothness_holds",
    "error": "train_error",
    "tau-b": "correlation",
    "larger on": "share",
    **dict.fromkeys(("error of b minus error of a", "only a errs", "only b errs"), "error_difference"),
    **dict.fromkeys(("worse", "better", "worse there", "better there"), "guarantee"),
    "e(x)": "theorem-2.2",
    "max e(x)": "theorem-2.2",
    "smoothness": "smoothness_inverse",
    "largest |f(x)|": "max_logit_norm",
    "zeta": "sub_sampling_zeta",
}
"""Headings of tables, in small letters, to the topics they stand for."""

WORDS = {
    "[a]": "arora",
    "rho": "smoothness_inverse",
    "affine": "form",
    "linear": "form",
    "superfluous": "compression_percent",
    "noise": "weight_noise",
    "overfits": "overfit",
    "fine-tuned": "fine_tuned",
    "fine-tuning": "fine_tuned",
}
"""Words of reports and papers to the topics that explain them."""

_OF_STATISTICS = frozenset(field.name for field in fields(Statistic))


@cache
def topic_of(name: str) -> Topic | None:
    """Find the topic of a name, of a dotted name in a report, or of the head of a column.

    >>> [topic_of(name).name for name in ("w. noise", "layers.3.layer_cushion.rows", "data.rows", "margin.gamma")]
    ['weight_noise_sensitivity', 'layer_cushion', 'rows', 'gamma']
    """
    head = name.strip().lower().partition(",")[0]
    word = HEADINGS.get(head) or WORDS.get(head) or head.replace(" ", "_")
    ends = {match.end(): topic for topic in TOPICS if (match := re.search(rf"\b{re.escape(topic)}(?=[.)]|$)", word))}
    ordered = [ends[end] for end in sorted(ends, reverse=True)]
    own = [topic for topic in ordered if topic not in _OF_STATISTICS]
    return next((TOPICS[topic] for topic in own or ordered), None)


def closest(name: str) -> list[str]:
    """List topics whose names resemble a word, the closest first."""
    import difflib

    wanted = name.lower().replace(" ", "_")
    inside = [topic for topic in TOPICS if wanted and wanted in topic]
    return list(dict.fromkeys([*inside, *difflib.get_close_matches(wanted, TOPICS, n=5, cutoff=0.4)]))[:5]
