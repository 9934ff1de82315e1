"""JSON Schemas of every document that onnxbound writes."""

from typing import Any

from onnxbound.experiments.attenuation import SCHEMA as NOISE
from onnxbound.experiments.attenuation import Attenuation
from onnxbound.experiments.comparison import SCHEMA as COMPARISON
from onnxbound.experiments.comparison import Comparison
from onnxbound.experiments.ranking import RANKING, TRACK, Ranking
from onnxbound.report.schema import schema_of, schemas

_DOCUMENTS = {NOISE: Attenuation, COMPARISON: Comparison, TRACK: Ranking, RANKING: Ranking}


def every_schema() -> dict[str, dict[str, Any]]:
    """Every schema by the name that documents carry under `schema`."""
    return schemas() | {name: schema_of(name, kind) for name, kind in _DOCUMENTS.items()}
