"""JSON Schemas of every document that onnxbound writes."""

from typing import Any

from onnxbound.analysis.difference import Difference
from onnxbound.analysis.plan import Plan
from onnxbound.analysis.result import Report
from onnxbound.certificates import certificate
from onnxbound.certificates.verify import Verification
from onnxbound.cli.documents import Failure, Files
from onnxbound.compressors.compression import Compression
from onnxbound.compressors.decompression import Decompression
from onnxbound.documents.document import Document
from onnxbound.documents.schema import schema_of
from onnxbound.documents.topic import Topic, Topics
from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.comparison import Comparison
from onnxbound.experiments.ranking import Ranking, Track
from onnxbound.graph.inspection import Inspection
from onnxbound.run.environment import Environment

_DOCUMENTS: tuple[type[Document], ...] = (
    Report, Plan, Inspection, Attenuation, Comparison, Track, Ranking, Difference, Compression, Decompression, Files,
    Topic, Topics, Environment, Failure, Verification,
)  # fmt: skip


def every_schema() -> dict[str, dict[str, Any]]:
    """Return every schema by the name that documents carry under `schema`."""
    kinds: dict[str, type] = {kind.SCHEMA: kind for kind in _DOCUMENTS}
    kinds[certificate.SCHEMA] = certificate.CertificateDocument
    return {name: schema_of(name, kind) for name, kind in kinds.items()}
