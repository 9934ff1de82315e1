"""How often a statement is false: counted over many draws of the rows."""

from decimal import Decimal
from functools import cache
from itertools import pairwise

import numpy as np
import onnxruntime
from scipy.special import bdtr

from onnxbound.certificates.decoded import decoded
from onnxbound.certificates.statement import Statement
from onnxbound.certificates.winner import decided
from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.network_code import NetworkCode, decode, encode
from onnxbound.codec.tensors import Levels
from onnxbound.operators.dense import Dense
from onnxbound.operators.relu import Relu

REPEATS = 4000
ROWS = 100
DELTA = Decimal("0.2")
BITS = (3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4)
"""Lengths of the codes of a finite class, of Kraft sum 1."""


@cache
def bound(errors: int, bits: int) -> float:
    return float(Statement("compressed", ROWS, errors, bits, DELTA, 10, 10).bound)


def violations(true_errors: np.ndarray, bits: tuple[int, ...], seed: int) -> int:
    """Draws in which some network of the class errs more often on new rows than its statement says."""
    random = np.random.Generator(np.random.Philox(seed))
    errors = random.binomial(ROWS, true_errors, size=(REPEATS, len(bits)))
    table = np.array([[bound(k, b) for k in range(ROWS + 1)] for b in sorted(set(bits))])
    row = np.searchsorted(sorted(set(bits)), bits)
    return int(np.sum((true_errors > table[row, errors]).any(axis=1)))


def test_a_class_is_covered_whichever_network_is_chosen() -> None:
    """Independent networks, so the union bound is nearly met; the adversary takes any whose statement is false.

    With probability of violation at most delta, more than this many in REPEATS draws happen once in 10^4 runs.
    """
    assert sum(2.0**-b for b in BITS) <= 1
    allowed = next(k for k in range(REPEATS) if bdtr(k, REPEATS, float(DELTA)) > 1 - 1e-4)
    for seed, level in enumerate((0.1, 0.3, 0.5)):
        found = violations(np.full(len(BITS), level), BITS, seed)
        assert 0 < found <= allowed, level


def test_one_network_is_covered_and_not_much_more() -> None:
    """Without bits the statement is false in nearly delta of the draws: it is no wider than it must be."""
    found = [violations(np.array([level]), (0,), 5) / REPEATS for level in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert 0.7 * float(DELTA) < np.mean(found)
    assert max(found) <= float(DELTA) + 4 * np.sqrt(0.16 / REPEATS)


def test_a_free_choice_is_not_covered() -> None:
    """The same class with no bits paid: the statements fail far more often than delta, so the count matters."""
    found = violations(np.full(len(BITS), 0.1), (0,) * len(BITS), 1) / REPEATS
    assert found > 3 * float(DELTA)


@cache
def codes(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Real codes of three architectures, as an issuer tries them: bits (N,), classes (N, 4096), and the rows' labels.

    Labels are coins, so that the population error of every network is close to 1/2, whatever it does on a sample.
    """
    random = np.random.Generator(np.random.Philox(count))
    rows = random.normal(size=(4096, 2)).astype(np.float32)
    bits, classes = [], []
    for number in range(count):
        hidden, biased = 3 if number % 3 == 2 else None, number % 3 == 1
        widths = [2, 2] if hidden is None else [2, hidden, 2]
        nodes: list[CodedNode] = []
        for narrow, wide in pairwise(widths):
            if nodes:
                nodes.append(CodedNode(Relu(), (len(nodes),)))
            bias = np.zeros(wide, np.float32) if biased else None
            nodes.append(CodedNode(Dense(np.zeros((wide, narrow), np.float32), None, bias), (len(nodes),)))
        architecture = Architecture((2,), tuple(nodes))
        parts = tuple(Levels(0.5, random.integers(-2, 3, hole.shape)) for hole in architecture.holes)
        code = NetworkCode(architecture, parts)
        net = decoded(decode(encode(code)))
        bits.append(8 * len(encode(code)))
        session = onnxruntime.InferenceSession(net.to_bytes())
        classes.append(decided(session.run(None, {"input": rows})[0].astype(np.float64)))
    return np.array(bits), np.array(classes), random.integers(0, 2, len(rows))


def best_of_all_is_false(count: int, repeats: int, *, paid: bool) -> int:
    """Draws in which the smallest bound of all codes, chosen after seeing the rows, is below that network's error."""
    bits, classes, labels = codes(count)
    wrong = classes != labels
    errors, paying = wrong.mean(axis=1), bits if paid else np.zeros_like(bits)
    lengths, kind = np.unique(paying, return_inverse=True)
    table = np.array([[bound(k, int(b)) for k in range(ROWS + 1)] for b in lengths])
    random = np.random.Generator(np.random.Philox(repeats))
    false = 0
    for _ in range(repeats):
        seen = wrong[:, random.integers(0, wrong.shape[1], ROWS)].sum(axis=1)
        claims = table[kind, seen]
        chosen = claims.argmin()
        false += bool(errors[chosen] > claims[chosen])
    return false


def test_an_issuer_who_tries_codes_of_several_architectures_stays_within_delta() -> None:
    assert best_of_all_is_false(60, 200, paid=True) <= 0.2 * 200
    assert best_of_all_is_false(60, 200, paid=False) > 0.6 * 200
