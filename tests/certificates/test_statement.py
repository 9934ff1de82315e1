"""Statements: rounded outward, vacuous where they are, and one byte form only."""

from dataclasses import replace
from decimal import Decimal

import pytest

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.statement import Disagreements, Statement, largest_code_bits

MNIST = Statement("compressed", 60_000, 840, 5800, Decimal("0.05"), 10, 6742)


def test_the_percentage_is_rounded_up() -> None:
    """The bound is 10.4708 %, and with 12 more bits it is still said as 10.5 %, never as 10.4 %."""
    assert MNIST.bound == Decimal("0.104708")
    assert "at most 10.5 % of new rows" in MNIST.sentence()
    assert "at most 10.5 %" in replace(MNIST, bits=5812).sentence()


def test_more_bits_more_errors_and_fewer_rows_say_less() -> None:
    worse = (replace(MNIST, bits=5900), replace(MNIST, errors=900), replace(MNIST, rows=50_000, commonest=5618))
    assert all(other.bound > MNIST.bound for other in (*worse, replace(MNIST, delta=Decimal("0.01"))))


def test_vacuous_against_chance_and_against_the_commonest_label() -> None:
    assert not MNIST.vacuous
    large = replace(MNIST, bits=200_000)
    assert large.vacuous
    assert large.sentence().endswith("the statement is vacuous.")
    unbalanced = replace(MNIST, commonest=54_000)
    assert unbalanced.chance == Decimal("0.1")
    assert unbalanced.vacuous


def test_the_original_through_unlabelled_rows() -> None:
    """The sum of two bounds, each at half of delta: larger than either, and than the decoded network's own."""
    through = replace(MNIST, object="original_unlabelled", disagreements=Disagreements(10_000, 100))
    parts = error_bound(840, 60_000, 5800, Decimal("0.025")) + error_bound(100, 10_000, 0, Decimal("0.025"))
    assert through.bound == parts > MNIST.bound + Decimal("0.01")
    assert sum(delta for _, delta in through.ledger) == through.delta
    assert "and the 10,000 unlabelled ones were drawn at random" in through.sentence()
    assert "the original network errs" in through.sentence()
    known = replace(through, disagreements=Disagreements(10_000, 100, known=True))
    term = error_bound(100, 10_000, 5800, Decimal("0.025"))
    assert known.bound == min(Decimal(1), error_bound(840, 60_000, 5800, Decimal("0.025")) + term) > through.bound


def test_other_objects_say_what_they_are_about() -> None:
    holdout = Statement("holdout", 10_000, 100, 0, Decimal("0.05"), 10, 1135)
    assert holdout.bound == error_bound(100, 10_000, 0, Decimal("0.05"))
    assert "10,000 hold-out rows were drawn at random" in holdout.sentence()
    assert "which the prior has not seen" in replace(MNIST, object="prior").sentence()


@pytest.mark.parametrize("errors", [0, 840, 30_000])
def test_the_longest_code_that_is_worth_writing(errors: int) -> None:
    """One bit more and the bound is no better than chance."""
    chance = Decimal("0.9")
    bits = largest_code_bits(60_000, errors, Decimal("0.05"), chance)
    assert error_bound(errors, 60_000, bits, Decimal("0.05")) < chance
    assert error_bound(errors, 60_000, bits + 1, Decimal("0.05")) >= chance


def test_no_code_helps_a_network_that_is_no_better_than_chance() -> None:
    assert largest_code_bits(1000, 900, Decimal("0.05"), Decimal("0.9")) == -1


def test_canonical_form_is_the_only_one() -> None:
    document = {"schema": "x/1", "rows": 60_000, "bound": "0.104708", "text": "naïve", "nested": {"b": [1], "a": None}}
    data = canonical_json(document)
    assert read_canonical(data) == document
    for place in range(len(data)):
        for changed in (
            data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :],
            data[:place] + b" " + data[place:],
        ):
            with pytest.raises(ValueError):
                read_canonical(changed)
    for other in (data + b"\n", data[:-1], b"", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(ValueError):
            read_canonical(other)


def test_no_numbers_that_are_none() -> None:
    with pytest.raises(ValueError):
        canonical_json({"bound": float("nan")})
    with pytest.raises(ValueError, match="checksum"):
        canonical_json({"checksum": "0"})
