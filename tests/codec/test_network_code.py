"""A network to bytes and back: what is read is what was written, and only the one file is accepted."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnxbound
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, decode, encode, rounded_step
from onnxbound.codec.parts import Exact, Levels, LowRank
from onnxbound.codec.skeleton import Malformed, Skeleton, read_skeleton
from onnxbound.linear.curvature import parameters

FIXTURES = Path("fixtures")
NETS = ("mnist_mlp", "mnist_logistic", "cifar10_cnn", "cifar10_alexnet", "cifar10_resnet")


def on_lattice(name: str, share: float) -> tuple[Skeleton, NetworkCode]:
    """A net rounded to multiples of a share of each tensor's standard deviation; vectors are kept as they are."""
    described = describe(onnxbound.load(FIXTURES / f"{name}.onnx"))
    skeleton, tensors = described.skeleton, described.tensors
    parts: list[Levels | LowRank | Exact] = []
    for place, values in enumerate(tensors.values()):
        if values.ndim < 2:
            parts.append(Exact(values))
        elif place % 4 == 2:
            parts.append(factored(values, share))
        else:
            step = rounded_step(share * (float(values.std()) or 1.0))
            parts.append(Levels(step, np.rint(values / step).astype(np.int64)))
    return skeleton, NetworkCode(tuple(parts), (0.5, 0.25))


def factored(values: np.ndarray, share: float, rank: int = 3) -> LowRank:
    """Its largest singular values, each factor rounded to a share of its standard deviation."""
    matrix = values.reshape(len(values), -1).astype(np.float64)
    u, sigma, v = np.linalg.svd(matrix, full_matrices=False)
    rest = (*values.shape[1:], 1, 1)[:3]
    left, right = u[:, :rank] * np.sqrt(sigma[:rank]), (np.sqrt(sigma[:rank])[:, None] * v[:rank]).reshape(rank, *rest)
    steps = [rounded_step(share * float(factor.std())) for factor in (left, right)]
    return LowRank(*(Levels(s, np.rint(f / s).astype(np.int64)) for s, f in zip(steps, (left, right), strict=True)))


@pytest.mark.parametrize("name", NETS)
def test_skeleton_with_its_numbers_is_the_network(name: str) -> None:
    """Filled again, it computes what the file computes, through onnxruntime."""
    path = FIXTURES / f"{name}.onnx"
    network = onnxbound.load(path)
    described = describe(network)
    skeleton, tensors = described.skeleton, described.tensors
    assert read_skeleton(skeleton.to_bytes()).to_bytes() == skeleton.to_bytes()
    flat = np.concatenate([tensors[hole].ravel() for hole in described.parameters])
    np.testing.assert_array_equal(flat, parameters(network.cast(np.float32)))
    rows = np.random.Generator(np.random.Philox(5)).normal(size=(7, *network.input_shape)).astype(np.float32)
    built = onnxruntime.InferenceSession(skeleton.filled(tensors).SerializeToString())
    (expected,) = onnxruntime.InferenceSession(path).run([network.output], {network.input: rows})
    (found,) = built.run(None, {"input": rows})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_reads_what_was_written() -> None:
    skeleton, code = on_lattice("cifar10_resnet", 0.5)
    data = encode(skeleton, code)
    found = decode(skeleton, data)
    assert found.numbers == (0.5, 0.25)
    for written, read in zip(code.parts, found.parts, strict=True):
        assert type(written) is type(read)
        np.testing.assert_array_equal(written.tensor(), read.tensor())


def test_every_number_is_paid_for() -> None:
    """Kept numbers cost their 32 bits, those of the preprocessing among them."""
    skeleton, code = on_lattice("mnist_logistic", 2.0)
    kept = sum(part.values.size for part in code.parts if isinstance(part, Exact))
    assert kept >= 10
    length = 8 * len(encode(skeleton, code))
    assert length >= 32 * (kept + 2)
    assert length - 8 * len(encode(skeleton, NetworkCode(code.parts))) == pytest.approx(64, abs=8)


@pytest.mark.parametrize("steps", [(1e-38, 1e38), (1e30, 3e-30), (0.01, 0.01), (2.0, 1.9), (1e-45, 1.0)])
def test_steps_far_apart(steps: tuple[float, float]) -> None:
    """Every step comes back, and neighbours are the cheap ones."""
    described = describe(onnxbound.load(FIXTURES / "mnist_logistic.onnx"))
    zeros = [np.zeros(values.shape, np.int64) for values in described.tensors.values()]
    code = NetworkCode(tuple(Levels(rounded_step(step), levels) for step, levels in zip(steps, zeros, strict=True)))
    data = encode(described.skeleton, code)
    assert [part.step for part in decode(described.skeleton, data).parts] == [rounded_step(step) for step in steps]
    assert rounded_step(rounded_step(steps[0])) == rounded_step(steps[0])
    equal = NetworkCode(tuple(Levels(rounded_step(0.002), levels) for levels in zeros))
    assert len(encode(described.skeleton, equal)) <= len(data)


def test_coarser_steps_are_shorter() -> None:
    lengths = [len(encode(*on_lattice("cifar10_resnet", share))) for share in (0.25, 0.5, 1.0, 2.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 1.5 * lengths[-1]


def test_other_bytes_are_refused_or_another_network() -> None:
    skeleton, code = on_lattice("mnist_logistic", 2.0)
    data = encode(skeleton, code)
    for changed in (data + b"\0", data + b"\xff", data[:-1], b"", b"\x02" + data[1:]):
        with pytest.raises(Malformed):
            decode(skeleton, changed)
    generator = np.random.Generator(np.random.Philox(3))
    for _ in range(4):
        place, bit = int(generator.integers(len(data))), int(generator.integers(8))
        changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        try:
            other = decode(skeleton, changed)
        except Malformed:
            continue
        assert encode(skeleton, other) == changed != data


def test_a_step_that_cannot_be_written_is_an_error() -> None:
    skeleton, code = on_lattice("mnist_logistic", 2.0)
    parts = tuple(Levels(0.1, p.levels) if isinstance(p, Levels) else p for p in code.parts)
    with pytest.raises(ValueError, match="cannot be written"):
        encode(skeleton, NetworkCode(parts))


def test_a_product_of_integers_is_exact_whatever_the_order() -> None:
    """Sums beyond 2^24, which float32 would round on the way, and their steps far apart."""
    random = np.random.Generator(np.random.Philox(3))
    left, right = random.integers(-4000, 4000, (6, 5)), random.integers(-4000, 4000, (5, 2, 3, 1))
    part = LowRank(Levels(rounded_step(3e-3), left), Levels(rounded_step(70.0), right))
    exact = left.astype(object) @ right.reshape(5, -1).astype(object)
    assert np.abs(exact).max() > 1 << 24
    steps = Fraction(part.left.step) * Fraction(part.right.step)
    expected = [[np.float32(float(int(n) * steps)) for n in row] for row in exact]
    np.testing.assert_array_equal(part.tensor(), np.array(expected))
    order = random.permutation(5)
    turned = LowRank(Levels(part.left.step, left[:, order]), Levels(part.right.step, right[order]))
    np.testing.assert_array_equal(turned.tensor(), part.tensor())


def test_low_rank_is_shorter_where_there_is_low_rank() -> None:
    """A product of two small matrices of signs costs about the bits of the small ones."""
    described = describe(onnxbound.load(FIXTURES / "mnist_mlp.onnx"))
    random = np.random.Generator(np.random.Philox(4))
    parts, whole = [], []
    for values in described.tensors.values():
        empty = Levels(1.0, np.zeros(values.shape, np.int64))
        if values.ndim < 2:
            parts.append(empty)
            whole.append(empty)
            continue
        left = Levels(1.0, random.integers(0, 2, (values.shape[0], 2)) * 2 - 1)
        right = Levels(1.0, random.integers(0, 2, (2, values.shape[1], 1, 1)) * 2 - 1)
        parts.append(LowRank(left, right))
        whole.append(Levels(1.0, parts[-1].tensor().astype(np.int64)))
    skeleton = described.skeleton
    short, long = (encode(skeleton, NetworkCode(tuple(found))) for found in (parts, whole))
    for one, two in zip(decode(skeleton, short).parts, decode(skeleton, long).parts, strict=True):
        np.testing.assert_array_equal(one.tensor().ravel(), two.tensor().ravel())
    numbers = sum(part.left.levels.size + part.right.levels.size for part in parts if isinstance(part, LowRank))
    assert numbers <= 8 * len(short) <= 1.1 * numbers + 200
    assert len(short) < len(long) / 10


def test_a_product_that_cannot_be_exact_is_an_error() -> None:
    skeleton, code = on_lattice("mnist_mlp", 0.5)
    place = next(k for k, part in enumerate(code.parts) if isinstance(part, LowRank))
    part = code.parts[place]
    assert isinstance(part, LowRank)
    left, right = np.repeat(part.left.levels, 11, axis=1), np.repeat(part.right.levels, 11, axis=0)
    assert LowRank(Levels(1.0, left), Levels(1.0, right)).exact
    huge = [Levels(1.0, np.full_like(levels, (1 << 24) - 1)) for levels in (left, right)]
    assert not LowRank(*huge).exact
    with pytest.raises(ValueError, match="product cannot be written"):
        encode(skeleton, NetworkCode((*code.parts[:place], LowRank(*huge), *code.parts[place + 1 :])))
