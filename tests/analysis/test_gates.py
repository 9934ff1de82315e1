"""--fail-if: what counts as a condition, and when it fails."""

import pytest

from onnxbound.analysis.gates import failures, parse_gate
from onnxbound.errors import UsageError
from tests.report.example import example


@pytest.mark.parametrize("text", ["arora>1e6", "  arora  >  1e6 ", "layers.3.layer_cushion.min<=.5", "a != -1.5E-3"])
def test_conditions(text: str) -> None:
    assert parse_gate(text).text == text


@pytest.mark.parametrize(
    "text", ["", "arora", "arora >", "> 3", "arora > x", "arora => 3", "arora > 1 > 2", "arora > nan", "arora > 1_0"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_gate(text)
    assert caught.value.code == "usage-gate"
    assert "NAME OP NUMBER" in caught.value.problems[0].why


@pytest.mark.parametrize(
    ("gate", "fails"),
    [
        ("model.depth == 4", True),
        ("model.depth != 4", False),
        ("model.depth > 3", True),
        ("model.depth > 4", False),
        ("model.depth >= 4", True),
        ("model.depth < 4", False),
        ("model.depth <= 4", True),
        ("arora > 0", True),
        ("arora < 0", False),
        ("theorem-2.2 > 0", True),
        ("bounds.arora.value > 0", True),
        ("layers.2.layer_cushion.min < 0", False),
        ("pairs.1-4.jacobian_norm.max > 0", True),
        ("data.test_error > 5", True),
        ("no.such.number > 5", True),
        ("model.path == 0", True),
    ],
)
def test_failures(gate: str, fails: bool) -> None:
    found = failures(example("chain"), [parse_gate(gate)])
    assert bool(found) == fails
    assert all(text.startswith(gate) for text in found)


def test_failures_say_why() -> None:
    gates = [parse_gate(text) for text in ("data.test_error > 5", "no.such > 5", "model.depth == 4")]
    null, unknown, holds = failures(example("chain"), gates)
    assert null.endswith("is null")
    assert "there is no number 'no.such'" in unknown
    assert holds.endswith("it is 4")


def test_a_bound_too_large_for_a_float_is_infinite() -> None:
    from dataclasses import replace

    report = example("chain")
    huge = replace(report.bounds[2], value=None, log10=400.0)
    report = replace(report, bounds=(huge,))
    assert failures(report, [parse_gate("frobenius > 1e300")])
    assert not failures(report, [parse_gate("frobenius < 1e300")])
