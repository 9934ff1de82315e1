"""The JSON is strict, follows its schema, and the schema follows the dataclasses."""

import copy
import json
from typing import Any

import jsonschema
import pytest

from onnxbound.cli.schemas import every_schema
from onnxbound.documents.schema import FILES, file_of
from tests.report.example import KINDS, example

VALIDATOR = jsonschema.Draft202012Validator(every_schema()["onnxbound.report/1"])


@pytest.mark.parametrize("kind", KINDS)
def test_reports_are_strict_json_and_follow_the_schema(kind: str) -> None:
    document = example(kind).to_json()
    VALIDATOR.validate(document)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_schemas_are_schemas_and_shipped() -> None:
    for name, schema in every_schema().items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert json.loads(file_of(name).read_text()) == schema
    assert {path.name for path in FILES.iterdir()} == {file_of(name).name for name in every_schema()}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to every key of every object, the first entry of every list standing for all."""
    if isinstance(value, dict):
        return [(*path, key) for key in value] + [p for key in value for p in places(value[key], (*path, key))]
    return places(value[0], (*path, 0)) if isinstance(value, list) and value else []


def test_the_schema_misses_no_key() -> None:
    """Any key taken out, other than one that the user or the installation named, is noticed."""
    document = example("chain").to_json()
    free = {("tool", "versions"), ("settings",)}
    for path in places(document):
        if any(path[: len(prefix)] == prefix and len(path) > len(prefix) for prefix in free):
            continue
        broken = copy.deepcopy(document)
        parent = broken
        for step in path[:-1]:
            parent = parent[step]
        del parent[path[-1]]
        with pytest.raises(jsonschema.ValidationError):
            VALIDATOR.validate(broken)


@pytest.mark.parametrize("path", [("data", "rows"), ("bounds", 0, "kind"), ("layers", 0, "layer_cushion", "min")])
def test_the_schema_knows_types(path: tuple[Any, ...]) -> None:
    broken = copy.deepcopy(example("chain").to_json())
    parent: Any = broken
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = "many"
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(broken)


CONTRACT = {
    (): "schema tool model data settings margin layers pairs bounds coverage warnings doubts",
    ("tool",): "version versions device providers engine seconds peak_rss_bytes",
    ("model",): "path sha256 opset producer parameters depth topology piecewise_linear",
    ("data",): "path sha256 rows measured_rows classes train_error test_error test_rows",
    ("margin",): "gamma gamma_source min q05 median max loss_at_gamma",
    ("layers", 0): "index name op weight_shape parameters kernel stride output_shape frobenius_norm spectral_norm"
    " stable_rank layer_cushion contraction between_contraction noise_sensitivity beta smoothness_inverse"
    " minimal_interlayer_cushion effective_parameters compression_percent",
    ("layers", 0, "spectral_norm"): "kernel_matrix estimate upper",
    ("layers", 0, "minimal_interlayer_cushion"): "clipped unclipped",
    ("layers", 0, "layer_cushion"): "min q05 median max rows undefined kind standard_error probes histogram",
    ("layers", 0, "layer_cushion", "histogram"): "edges counts",
    ("pairs", 0): "source target method interlayer_cushion jacobian_norm smoothness_inverse smoothness_holds",
    ("bounds", 0): "name kind value log10 vacuous delta zeta reference assumptions met",
}


@pytest.mark.parametrize("path", CONTRACT)
def test_contracted_names(path: tuple[Any, ...]) -> None:
    """What pipelines read; this table may grow and must not shrink."""
    value: Any = example("chain").to_json()
    for step in path:
        value = value[step]
    assert set(CONTRACT[path].split()) <= set(value)


def test_bounds_have_their_names_and_order() -> None:
    names = [bound["name"] for bound in example("chain").to_json()["bounds"]]
    plotted = ["parameters", "l1-inf", "frobenius", "spec-l12", "spec-fro", "arora"]
    assert names == [*plotted, "theorem-2.2", "theorem-4.1", "holdout", "compressed"]
    for kind in KINDS:
        assert [bound.name for bound in example(kind).bounds] == names
