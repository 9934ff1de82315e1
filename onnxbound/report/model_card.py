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
    results = [_result("train", data.path, data.rows, data.train_error, {"sha256": data.sha256})]
    if data.test_error is not None and data.test_rows is not None:
        results.append(_result("test", data.test_path or "", data.test_rows, data.test_error))
    statement = {
        "model_sha256": report.model.sha256,
        "error_at_most": None if best is None else best.value,
        "delta": None if best is None else best.delta,
        "bound": None if best is None else best.name,
        "object": None if best is None else "original" if is_of_the_net(best) else "compressed",
        "assumptions": [] if best is None else list(best.assumptions),
    }
    name = Path(report.model.path).stem or "model"
    return {"model-index": [{"name": name, "results": results}], "onnxbound": {"version": __version__} | statement}


def _result(split: str, path: str, rows: int, error: float, more: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Describe one set of rows and the error on it."""
    return {
        "task": {"type": "classification"},
        "dataset": {"name": Path(path).name, "type": "unknown", "split": split, "rows": rows, **(more or {})},
        "metrics": [{"type": f"{split}_error", "value": error}],
    }


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
