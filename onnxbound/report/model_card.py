"""The YAML at the head of a model card, as model hubs read it: errors, the bound, its assumptions."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnxbound.analysis.result import Report
from onnxbound.report.of_certificate import StatedCertificate
from onnxbound.report.verdict import best_bound, is_of_the_net
from onnxbound.version import __version__


def model_card(document: Report | StatedCertificate) -> str:
    """Write the YAML, between lines of three dashes.

    A bound is null where none is better than guessing.
    """
    card = _of_certificate(document) if isinstance(document, StatedCertificate) else _of_report(document)
    return "\n".join(("---", *_yaml(card), "---")) + "\n"


def _of_report(report: Report) -> dict[str, Any]:
    data, best = report.data, best_bound(report)
    errors = {"train_error": data.train_error, "test_error": data.test_error}
    metrics = [{"type": name, "value": value} for name, value in errors.items() if value is not None]
    result = {
        "task": {"type": "classification"},
        "dataset": {"name": Path(data.path).name, "type": "unknown", "rows": data.rows, "sha256": data.sha256},
        "metrics": metrics,
    }
    statement = {
        "model_sha256": report.model.sha256,
        "error_at_most": None if best is None else best.value,
        "delta": None if best is None else best.delta,
        "bound": None if best is None else best.name,
        "object": None if best is None else "original" if is_of_the_net(best) else "compressed",
        "assumptions": [] if best is None else list(best.assumptions),
    }
    name = Path(report.model.path).stem or "model"
    return {"model-index": [{"name": name, "results": [result]}], "onnxbound": {"version": __version__} | statement}


def _of_certificate(certificate: StatedCertificate) -> dict[str, Any]:
    said = ("statement", "object", "rows", "errors", "bits", "delta", "vacuous", "assumptions")
    shown = {name: getattr(certificate, name) for name in said}
    return {"onnxbound": {"version": __version__, "error_at_most": certificate.bound} | shown}


def _yaml(value: Mapping[str, Any], indent: str = "") -> list[str]:
    """Write the lines of a mapping. Scalars are JSON, which is YAML, so every name stays text."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            lines += [f"{indent}{key}:", *_yaml(entry, f"{indent}  ")]
        elif isinstance(entry, Sequence) and not isinstance(entry, str) and entry:
            lines.append(f"{indent}{key}:")
            for item in entry:
                first, *more = (
                    _yaml(item, f"{indent}  ") if isinstance(item, Mapping) else [f"{indent}  {json.dumps(item)}"]
                )
                lines += [f"{indent}- {first.strip()}", *more]
        else:
            lines.append(f"{indent}{key}: {json.dumps(entry)}")
    return lines
