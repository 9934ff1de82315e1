"""Sentences follow from numbers that can carry them, and are not said where they cannot."""

from dataclasses import replace

import pytest

from onnxbound.analysis.sections import WeightNoise
from onnxbound.report.sentences import sentences
from tests.report.example import example


def said(word: str, **changes: object) -> str:
    """The sentences with a word in them, of a report that differs from the example in some sections."""
    return " ".join(s for s in sentences(replace(example("chain"), **changes)) if word in s)  # type: ignore[arg-type]


@pytest.mark.parametrize(("test_error", "overfits"), [(0.05, False), (0.11, True), (0.56, True), (None, False)])
def test_a_net_that_fails_on_test_rows_overfits(test_error: float | None, overfits: bool) -> None:
    data = replace(example("chain").data, train_error=0.0, test_error=test_error)
    assert bool(said("overfits", data=data)) == overfits


@pytest.mark.parametrize(("effective", "expected"), [(0.5, "50 %"), (0.95, "5 %"), (2.0, "none of the")])
def test_superfluous_weights_are_counted(effective: float, expected: str) -> None:
    layers = tuple(
        replace(layer, effective_parameters=effective * layer.parameters) for layer in example("chain").layers
    )
    sentence = said("superfluous", layers=layers)
    assert expected in sentence
    assert ("worth compressing" in sentence) == (effective > 0.9)


def test_layers_are_compared_by_errors_under_noise_in_their_weights() -> None:
    noise = WeightNoise(radius=0.2, draws=4, rows=250, error=0.01)
    layers = example("chain").layers

    def with_errors(*errors: float) -> str:
        changed = tuple(replace(layer, error_under_weight_noise=e) for layer, e in zip(layers, errors, strict=True))
        return said("noise of 20%", layers=changed, weight_noise=noise)

    assert "most at layer 3, from 1.0% to 40.0%, and least at layer 2, to 1.0%" in with_errors(0.2, 0.01, 0.4, 0.1)
    assert "no layer stands out" in with_errors(0.01, 0.02, 0.1, 0.05)  # 0.09 < 2 / sqrt 250
    assert said("noise of 20%", weight_noise=None) == ""
