"""Statements: rounded outward, vacuous where they are, and one byte form only."""

from dataclasses import replace
from decimal import Decimal

import pytest

from onnxbound.certify.statement import Statement, canonical_json, read_canonical

MNIST = Statement(rows=60_000, errors=840, bits=5800, delta=Decimal("0.05"), classes=10, commonest=6742)


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
