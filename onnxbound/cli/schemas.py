"""JSON Schemas of every document that onnxbound writes."""

from typing import Any

from onnxbound import plan
from onnxbound.certificates import certificate, verify
from onnxbound.cli import documents
from onnxbound.experiments import attenuation, comparison, ranking
from onnxbound.report import compression, difference, inspection, report, topic
from onnxbound.report.schema import schema_of
from onnxbound.run import environment

_DOCUMENTS = {
    report.SCHEMA: report.ReportDocument,
    plan.SCHEMA: plan.Plan,
    inspection.SCHEMA: inspection.Inspection,
    attenuation.SCHEMA: attenuation.Attenuation,
    comparison.SCHEMA: comparison.Comparison,
    ranking.TRACK: ranking.Ranking,
    ranking.RANKING: ranking.Ranking,
    difference.SCHEMA: difference.Difference,
    compression.SCHEMA: compression.Compression,
    documents.DECOMPRESSION: documents.Decompression,
    certificate.SCHEMA: certificate.Document,
    verify.SCHEMA: verify.Verification,
    documents.FILES: documents.Files,
    topic.SCHEMA: topic.Topic,
    documents.TOPIC_NAMES: documents.Topics,
    environment.SCHEMA: environment.Environment,
    documents.ERROR: documents.Failure,
}


def every_schema() -> dict[str, dict[str, Any]]:
    """Every schema by the name that documents carry under `schema`."""
    return {name: schema_of(name, kind) for name, kind in _DOCUMENTS.items()}
