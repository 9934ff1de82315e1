"""Sentences follow from numbers that can carry them, and are not said where they cannot."""

from dataclasses import replace

import pytest

from onnxbound.analysis.difference import difference
from onnxbound.analysis.sections import ErrorUnderNoise, WeightNoise
from onnxbound.report.model_card import model_card
from onnxbound.report.verdict import next_steps, verdict
from tests.report.example import example


def said(word: str, **changes: object) -> str:
    """The sentences with a word in them, of a report that differs from the example in some sections."""
    return " ".join(s for s in verdict(replace(example("chain"), **changes)) if word in s)  # type: ignore[arg-type]


def test_a_doubt_is_said_first_and_not_again_among_the_caveats() -> None:
    """Whatever its words are, and whatever the other warnings say."""
    doubt, other = "something is wrong", "the labels are probably not those of training"
    report = replace(example("chain"), warnings=(doubt, other), doubts=(doubt,))
    assert next(iter(verdict(report))) == "Something is wrong."
    assert other not in " ".join(verdict(report))
    assert report.view().caveats == (other,)


@pytest.mark.parametrize(("test_error", "overfits"), [(0.05, False), (0.11, True), (0.56, True), (None, False)])
def test_a_net_that_fails_on_test_rows_overfits(test_error: float | None, overfits: bool) -> None:
    data = replace(example("chain").data, train_error=0.0, test_error=test_error)
    assert bool(said("It overfits", data=data)) == overfits
    below = replace(data, train_error=0.05, test_error=0.02)
    assert said("percentage points below", data=below).startswith("The test error is 3.0 percentage points below")


@pytest.mark.parametrize(("in_file", "said_of"), [(None, "the 60"), (60, "the 60"), (70, "a sample of 60")])
def test_a_sample_is_called_so(in_file: int | None, said_of: str) -> None:
    data = replace(example("chain").data, rows=60, rows_in_file=in_file)
    assert f" of {said_of} training rows" in said("errs on", data=data)
    facts = dict(replace(example("chain"), data=data).view().about.entries)
    assert ("a sample of 60 of 70 rows" in facts["data"]) == (in_file == 70)


def test_what_next_repeats_the_test_file_that_was_given() -> None:
    for given, expected in ((None, "TEST.npz"), ("mine.npz", "mine.npz")):
        report = replace(example("chain"), data=replace(example("chain").data, test_path=given))
        (smaller,) = (line for label, line in next_steps(report) if "smaller" in label)
        assert f"--test {expected} " in smaller


def test_what_next_certifies_by_rows_that_prove_something() -> None:
    report = example("chain")
    (bound,) = (bound for bound in report.bounds if bound.name == "holdout")
    proved = replace(bound, value=0.0625, met=True, vacuous=False, delta=0.05)
    tested = replace(report, bounds=(proved,), data=replace(report.data, test_path="mine.npz", test_error=0.1))
    (command,) = (line for label, line in next_steps(tested) if "to others" in label)
    assert "--holdout mine.npz" in command
    assert "--data" not in command
    assert not any("to others" in label for label, _ in next_steps(report))


def test_sentences_about_numbers_are_no_changes() -> None:
    report = example("chain")
    first, *others = report.bounds
    again = replace(report, bounds=(replace(first, met_reason="in other words"), *others))
    assert difference(report, again, 0).changes == ()
    changed = replace(report, data=replace(report.data, train_error=0.5 * report.data.train_error + 0.1))
    assert [change.name for change in difference(report, changed, 0).changes] == ["data.train_error"]


@pytest.mark.parametrize(
    ("name", "subject", "end"),
    [
        ("holdout", "It", "test rows (holdout), if these rows served neither to train nor to choose the net."),
        ("theorem-2.2", "A compressed copy of it", "training rows (theorem-2.2; of the net itself it says nothing)."),
    ],
)
def test_a_bound_is_said_of_the_net_that_it_is_about(name: str, subject: str, end: str) -> None:
    (bound,) = (bound for bound in example("chain").bounds if bound.name == name)
    proved = replace(bound, value=0.0625, met=True, vacuous=False, delta=0.05)
    sentence = f"{subject} errs on at most 6.25 % of new rows, with 95 % confidence over the draw of the {end}"
    assert said("of new rows, with", bounds=(proved,)) == sentence
    card = model_card(replace(example("chain"), bounds=(proved,)))
    assert f'object: "{"original" if name == "holdout" else "compressed"}"' in card


def test_a_model_card_tells_training_rows_from_test_rows() -> None:
    data = replace(example("chain").data, test_error=0.25, test_rows=40, test_path="folder/test.npz")
    both = model_card(replace(example("chain"), data=data)).splitlines()
    test = both.index('      split: "test"')
    assert both[test - 2 : test + 4] == [
        '      name: "test.npz"', '      type: "unknown"', '      split: "test"', "      rows: 40", "    metrics:",
        '    - type: "test_error"',
    ]  # fmt: skip
    assert both[test + 4] == "      value: 0.25"


@pytest.mark.parametrize(("effective", "expected"), [(0.5, "50 %"), (0.95, "5 %"), (2.0, "none of the")])
def test_superfluous_weights_are_counted(effective: float, expected: str) -> None:
    layers = tuple(
        replace(layer, effective_parameters=effective * layer.parameters) for layer in example("chain").layers
    )
    sentence = said("superfluous", layers=layers)
    assert expected in sentence
    assert ("so the paper's compression does not pay" in sentence) == (effective > 0.9)


def test_all_is_not_called_most() -> None:
    *others, last = example("chain").layers
    layers = (*(replace(o, effective_parameters=1e9) for o in others), replace(last, effective_parameters=0.0))
    assert f"all of them in layer {last.index}" in said("superfluous", layers=layers)


def test_layers_are_compared_by_errors_under_noise_in_their_weights() -> None:
    alone = under_noise(0.2, 0.01, 0.4, 0.1)
    assert alone.startswith("By errors layer 3 matters most: noise of 20 % in the weights")
    assert "from 1 % to 40 %" in alone
    alike = under_noise(0.38, 0.01, 0.4, 0.1)
    assert alike.startswith("By errors layers 1 and 3 matter most")
    assert "from 1 % to between 38 % and 40 %" in alike
    none = under_noise(0.36, 0.4, 0.4, 0.38, spread=0.02)
    assert none.startswith("By errors no layer stands out: noise of 20 % in the weights")
    assert "from 1 % to between 36 % and 40 %" in none
    nothing = "Noise of 20 % in the weights of one layer does not raise the error measurably"
    assert nothing in under_noise(0.01, 0.02, 0.019, 0.0)  # below a point
    assert nothing in under_noise(0.01, 0.1, 0.05, 0.0, spread=0.06)  # below two standard errors
    for silent in (
        under_noise(0.2, 0.01, 0.4, 0.1, rows=99),
        under_noise(0.72, 0.7, 0.74, 0.7, clean=0.7),  # of three classes
        said("oise of 20", weight_noise=None),
    ):
        assert silent == ""


def under_noise(*errors: float, spread: float = 0.01, rows: int = 250, clean: float = 0.01) -> str:
    """The sentence of a net of four layers with these errors and their standard error."""
    noise = WeightNoise(radius=0.2, draws=4, rows=rows, error_without_noise=clean)
    layers = tuple(
        replace(layer, error_under_weight_noise=ErrorUnderNoise(error, spread))
        for layer, error in zip(example("chain").layers, errors, strict=True)
    )
    return said("oise of 20", layers=layers, weight_noise=noise)


def test_the_layer_that_needs_the_most_precise_weights_is_named_where_rows_can_tell() -> None:
    def sensitive(*medians: float) -> str:
        layers = example("chain").layers
        statistics = [layer.weight_noise_sensitivity for layer in layers]
        changed = [replace(s, median=m, rows=100) for s, m in zip(statistics, medians, strict=True) if s is not None]
        assert len(changed) == len(layers)
        given = (
            replace(layer, statistics={**layer.statistics, "weight_noise_sensitivity": s})
            for layer, s in zip(layers, changed, strict=True)
        )
        return said("precis", layers=tuple(given))

    alone = sensitive(0.3, 0.6, 0.2, 0.5)
    assert alone == (
        "Layer 2 needs the most precise weights: noise of 1 % in them changes the logits by 0.6 %, in any other layer"
        " by 0.2 % to 0.5 %."
    )
    assert sensitive(0.3, 0.6, 0.2, 0.55).startswith("Layers 2 and 4 need the most precise weights")
    assert sensitive(0.6, 0.6, 0.58, 0.55).startswith("All layers need weights of about the same precision")
