"""Architectures as decisions: every net of the zoo has one, it is short, and nothing else can be said in it."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnxbound
from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.describe import describe
from onnxbound.codec.grammar import Grammar
from onnxbound.codec.mixing import Reader, Writer
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.select_words import LARGEST_COUNT
from onnxbound.codec.sentence import code_architecture
from onnxbound.codec.vocabulary import WORDS
from onnxbound.errors import ModelError
from onnxbound.operators.dense import Dense
from onnxbound.operators.lookup import Lookup, OneHot
from onnxbound.operators.operator import Operator
from onnxbound.operators.relu import Relu
from onnxbound.run.session import with_outputs

FIXTURES = Path("fixtures")
ZOO = sorted((FIXTURES / "zoo" / "models").glob("*.onnx"))


def sentence(architecture: Architecture) -> str:
    writer = Writer()
    code_architecture(Grammar(writer), architecture)
    return writer.finish()


@pytest.mark.parametrize("path", ZOO, ids=lambda path: path.stem)
def test_every_net_of_the_zoo_has_a_sentence(path: Path) -> None:
    """Read again it is the same one, and with the same tensors it computes what the file computes."""
    try:
        network = onnxbound.load(path)
    except ModelError:
        pytest.skip("not a net that is read at all")
    found = describe(network)
    bits = sentence(found.architecture)
    reader = Reader(bits)
    again = code_architecture(Grammar(reader), None)
    assert reader.finish() == sentence(again) == bits
    assert [hole.shape for hole in again.holes] == [hole.shape for hole in found.architecture.holes]
    model = again.filled(list(found.tensors.values())).model()
    rows = np.random.default_rng(3).normal(size=(network.batch or 5, *network.input_shape)).astype(np.float32)
    original = onnxruntime.InferenceSession(with_outputs(network, [network.output]).SerializeToString())
    (expected,) = original.run(None, {network.input: rows.astype(network.input_type)})
    (values,) = onnxruntime.InferenceSession(model.SerializeToString()).run(
        None, {"input": rows.astype(network.input_type).astype(np.float32)}
    )
    expected = expected.reshape(values.shape)
    np.testing.assert_allclose(values, expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    "name", ["certified/mnist_small", "certified/mnist_lenet5", "certified/cifar10_narrow", "mnist_mlp", "cifar10_cnn"]
)
def test_plain_chains_cost_40_bits_and_20_per_layer(name: str) -> None:
    network = onnxbound.load(FIXTURES / f"{name}.onnx")
    assert len(sentence(describe(network).architecture)) <= 40 + 20 * network.depth


def test_a_residual_net_costs_240_bits() -> None:
    assert len(sentence(describe(onnxbound.load(FIXTURES / "cifar10_resnet.onnx")).architecture)) <= 240


def test_every_operator_has_a_word() -> None:
    """Whatever the representation can contain, so that a net is certified or refused as a whole; tables are refused."""

    def concrete(kind: type[Operator]) -> set[type[Operator]]:
        below = {sub for child in kind.__subclasses__() for sub in concrete(child)}
        return below | ({kind} if not kind.__abstractmethods__ else set())

    ours = {kind for kind in concrete(Operator) if kind.__module__.startswith("onnxbound.")}
    assert {word.kind for word in WORDS} == ours - {Lookup, OneHot}


def test_nothing_unreachable_is_said() -> None:
    """A tensor that nobody reads, and a last one that is no vector of logits, leave no place for the end."""
    weight = np.zeros((4, 6), np.float32)
    dense = Dense(weight, None, None)
    straight = Architecture((6,), (CodedNode(dense, (0,)),))
    assert len(sentence(straight)) < 40
    dangling = Architecture((6,), (CodedNode(Relu(), (0,)), CodedNode(dense, (0,))))
    with pytest.raises(Malformed, match="cannot express"):
        sentence(dangling)


def test_random_bits_are_a_network_or_refused() -> None:
    """2,000 strings: an architecture whose sentence they begin with, or Malformed, in little time."""
    random, read = np.random.default_rng(4), 0
    for _ in range(2000):
        bits = "".join(map(str, random.integers(0, 2, 400)))
        reader = Reader(bits)
        try:
            found = code_architecture(Grammar(reader), None)
        except Malformed:
            continue
        read += 1
        assert reader.finish() == sentence(found)
        assert sum(np.prod(hole.shape, dtype=object) for hole in found.holes) <= LARGEST_COUNT
    assert read > 50


def test_sentences_are_prefix_free() -> None:
    """Those of all nets here: no one begins with another, and Kraft's sum is far below 1."""
    found = {sentence(describe(onnxbound.load(path)).architecture) for path in sorted(FIXTURES.glob("*.onnx"))}
    ordered = sorted(found)
    assert not any(b.startswith(a) for a, b in pairwise(ordered))
    assert sum(2.0 ** -len(bits) for bits in found) < 2.0**-20
