"""A network to bytes and back: what is read is what was written, and only the one file is accepted."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import scipy.fft

import onnxbound
from onnxbound.codec.describe import Description, describe
from onnxbound.codec.network_code import VERSION, NetworkCode, decode, encode, rounded_step
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.tensors import Exact, Levels, LowRank, cosines
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.linear.gradient import parameters

FIXTURES = Path("fixtures")
NETS = ("mnist_mlp", "mnist_logistic", "cifar10_cnn", "cifar10_alexnet", "cifar10_resnet")
NORMALISED = Preprocessing(1 / 255, (0.5, 0.25, 0.375), (0.25, 0.2421875, 0.2578125), "nhwc")


@cache
def described(name: str) -> Description:
    return describe(onnxbound.load(FIXTURES / f"{name}.onnx"))


@cache
def on_lattice(name: str, share: float) -> NetworkCode:
    """A net rounded to multiples of a share of each tensor's standard deviation; vectors are kept as they are."""
    parts: list[Levels | LowRank | Exact] = []
    for place, values in enumerate(described(name).tensors.values()):
        if values.ndim < 2:
            parts.append(Exact(values))
        elif place % 4 == 2:
            parts.append(factored(values, share))
        else:
            parts.append(rounded(values, share))
    return NetworkCode(described(name).architecture, tuple(parts), NORMALISED)


def rounded(values: np.ndarray, share: float) -> Levels:
    step = rounded_step(share * (float(values.std()) or 1.0))
    return Levels(step, np.rint(values / step).astype(np.int64))


def factored(values: np.ndarray, share: float, rank: int = 3) -> LowRank:
    """Its largest singular values, each factor rounded to a share of its standard deviation."""
    matrix = values.reshape(len(values), -1).astype(np.float64)
    u, sigma, v = np.linalg.svd(matrix, full_matrices=False)
    rest = (*values.shape[1:], 1, 1)[:3]
    left, right = u[:, :rank] * np.sqrt(sigma[:rank]), (np.sqrt(sigma[:rank])[:, None] * v[:rank]).reshape(rank, *rest)
    steps = [rounded_step(share * float(factor.std())) for factor in (left, right)]
    return LowRank(*(Levels(s, np.rint(f / s).astype(np.int64)) for s, f in zip(steps, (left, right), strict=True)))


def logits(code: NetworkCode, rows: np.ndarray) -> np.ndarray:
    model = code.architecture.filled(list(code.tensors().values())).model()
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": rows})[0]


def rows_for(code: NetworkCode, count: int = 7) -> np.ndarray:
    generator = np.random.Generator(np.random.Philox(5))
    return generator.normal(size=(count, *code.architecture.input_shape)).astype(np.float32)


@pytest.mark.parametrize("name", NETS)
def test_an_architecture_with_its_tensors_is_the_network(name: str) -> None:
    """Filled again, it computes what the file computes, through onnxruntime."""
    path = FIXTURES / f"{name}.onnx"
    network, found = onnxbound.load(path), described(name)
    flat = np.concatenate([found.tensors[hole].ravel() for hole in found.parameters])
    np.testing.assert_array_equal(flat, parameters(network.cast(np.float32)))
    rows = np.random.Generator(np.random.Philox(5)).normal(size=(7, *network.input_shape)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(path).run([network.output], {network.input: rows})
    opened = found.architecture.model(open_holes=range(len(found.architecture.holes)))
    for model, more in ((found.architecture.model(), {}), (opened, found.tensors)):
        (values,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"input": rows, **more})
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("difference", [False, True])
def test_reads_what_was_written(difference: bool) -> None:
    """The same function; its units in an order of their own, unless they have to keep it."""
    code = replace(on_lattice("cifar10_resnet", 0.5), difference=difference)
    data = encode(code)
    found = decode(data)
    assert data[0] == VERSION
    assert (found.preprocessing, found.difference) == (NORMALISED, difference)
    assert encode(found) == data
    for written, read in zip(code.parts, found.parts, strict=True):
        assert type(written) is type(read)
        one, other = written.tensor().ravel(), read.tensor().ravel()
        np.testing.assert_array_equal(*((one, other) if difference else (np.sort(one), np.sort(other))))
    rows = rows_for(code)
    expected = logits(code, rows)
    np.testing.assert_allclose(logits(found, rows), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_every_number_is_paid_for() -> None:
    """Kept numbers cost their 32 bits, those of the preprocessing what their places are worth."""
    code = replace(on_lattice("mnist_logistic", 2.0), preprocessing=Preprocessing())
    kept = sum(part.values.size for part in code.parts if isinstance(part, Exact))
    assert kept >= 10
    length = 8 * len(encode(code))
    assert length >= 32 * kept
    for preprocessing, bits in (
        (Preprocessing(1 / 255), (-8, 8)),
        (Preprocessing(0.5), (0, 16)),
        (Preprocessing(1 / 255, (0.125,), (0.3125,)), (8, 24)),
        (Preprocessing(1 / 255, (31 / 64,) * 3, (16 / 64, 15 / 64, 17 / 64)), (28, 56)),
        (Preprocessing(1 / 255, (float(np.float32(0.1307)),), (float(np.float32(0.3081)),)), (64, 88)),
    ):
        more = 8 * len(encode(replace(code, preprocessing=preprocessing))) - length
        assert bits[0] <= more <= bits[1], (preprocessing, more)


@pytest.mark.parametrize("steps", [(1e-37, 1e17), (1e15, 3e-30), (0.01, 0.01), (2.0, 1.9)])
def test_steps_far_apart(steps: tuple[float, float]) -> None:
    """Every step comes back, and neighbours are the cheap ones."""
    found = described("mnist_logistic")
    zeros = [np.zeros(values.shape, np.int64) for values in found.tensors.values()]
    parts = tuple(Levels(rounded_step(step), levels) for step, levels in zip(steps, zeros, strict=True))
    data = encode(NetworkCode(found.architecture, parts))
    assert [part.step for part in decode(data).parts] == [rounded_step(step) for step in steps]
    assert rounded_step(rounded_step(steps[0])) == rounded_step(steps[0])
    equal = NetworkCode(found.architecture, tuple(Levels(rounded_step(0.002), levels) for levels in zeros))
    assert len(encode(equal)) <= len(data)


def test_coarser_steps_are_shorter() -> None:
    lengths = [len(encode(on_lattice("cifar10_resnet", share))) for share in (0.25, 0.5, 1.0, 2.0)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[0] > 1.5 * lengths[-1]


def test_other_bytes_are_refused_or_another_network() -> None:
    data = encode(on_lattice("mnist_logistic", 2.0))
    for changed in (data + b"\0", data + b"\xff", data[:-1], b"", b"\x01" + data[1:], b"\x03" + data[1:]):
        with pytest.raises(Malformed):
            decode(changed)
    generator = np.random.Generator(np.random.Philox(3))
    for _ in range(8):
        place, bit = int(generator.integers(len(data))), int(generator.integers(8))
        changed = data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
        try:
            other = decode(changed)
        except Malformed:
            continue
        assert encode(other) == changed != data


def test_format_1_is_refused_by_name() -> None:
    with pytest.raises(Malformed, match="format 1, and this decoder reads format 2"):
        decode(b"\x01abc")


@pytest.mark.parametrize(
    "parts",
    [
        (Levels(0.1, np.ones((10, 784), np.int64)), Exact(np.zeros(10, np.float32))),
        (Levels(0.125, np.full((10, 784), 1 << 24)), Exact(np.zeros(10, np.float32))),
    ],
)
def test_a_step_or_level_that_cannot_be_written_is_an_error(parts: tuple[Levels, Exact]) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        encode(NetworkCode(described("mnist_logistic").architecture, parts))


@pytest.mark.parametrize("value", [1e-39, 2.0**61, np.inf, np.nan])
def test_numbers_that_devices_treat_in_different_ways_are_refused(value: float) -> None:
    """Denormal ones, which some flush to zero, and those whose sums overflow."""
    bias = np.zeros(10, np.float32)
    bias[3] = value
    parts = (Levels(0.125, np.ones((10, 784), np.int64)), Exact(bias))
    found = decode(encode(NetworkCode(described("mnist_logistic").architecture, parts)))
    with pytest.raises(Malformed, match="denormal"):
        found.tensors()


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
    found = described("mnist_mlp")
    random = np.random.Generator(np.random.Philox(4))
    parts, whole = [], []
    for values in found.tensors.values():
        empty = Levels(1.0, np.zeros(values.shape, np.int64))
        if values.ndim < 2:
            parts.append(empty)
            whole.append(empty)
            continue
        left = Levels(1.0, random.integers(0, 2, (values.shape[0], 2)) * 2 - 1)
        right = Levels(1.0, random.integers(0, 2, (2, values.shape[1], 1, 1)) * 2 - 1)
        parts.append(LowRank(left, right))
        whole.append(Levels(1.0, parts[-1].tensor().astype(np.int64)))
    short, long = (encode(NetworkCode(found.architecture, tuple(p), difference=True)) for p in (parts, whole))
    for one, two in zip(decode(short).parts, decode(long).parts, strict=True):
        np.testing.assert_array_equal(one.tensor().ravel(), two.tensor().ravel())
    numbers = sum(part.left.levels.size + part.right.levels.size for part in parts if isinstance(part, LowRank))
    assert numbers <= 8 * len(short) <= 1.1 * numbers + 200
    assert len(short) < len(long) / 10


def test_a_product_that_cannot_be_exact_is_an_error() -> None:
    code = on_lattice("mnist_mlp", 0.5)
    place = next(k for k, part in enumerate(code.parts) if isinstance(part, LowRank))
    part = code.parts[place]
    assert isinstance(part, LowRank)
    left, right = np.repeat(part.left.levels, 11, axis=1), np.repeat(part.right.levels, 11, axis=0)
    assert LowRank(Levels(1.0, left), Levels(1.0, right)).exact
    huge = [Levels(1.0, np.full_like(levels, (1 << 24) - 1)) for levels in (left, right)]
    assert not LowRank(*huge).exact
    with pytest.raises(ValueError, match="product cannot be written"):
        encode(replace(code, parts=(*code.parts[:place], LowRank(*huge), *code.parts[place + 1 :])))


@pytest.mark.parametrize("length", [2, 3, 5, 7])
def test_the_cosine_transform_is_the_textbooks(length: int) -> None:
    expected = scipy.fft.dct(np.eye(length), axis=0, norm="ortho")
    np.testing.assert_allclose(cosines(length) / (1 << 12), expected, atol=2.0**-12)


def test_kernels_by_their_cosine_transform() -> None:
    """Smooth kernels have few coefficients that are not zero: the code is shorter, and exact."""
    found = described("cifar10_resnet")
    random = np.random.default_rng(1)
    parts: list[Levels] = []
    for values in found.tensors.values():
        levels = np.zeros(values.shape, np.int64)
        smooth = values.ndim == 4 and values.shape[-1] > 1
        if smooth:
            levels[:, :, :1, :2] = random.integers(-3, 4, (*values.shape[:2], 1, 2))
        parts.append(Levels(0.125, levels, cosine=smooth))
    code = NetworkCode(found.architecture, tuple(parts))
    again = decode(encode(code))
    rows = rows_for(code)
    np.testing.assert_allclose(logits(again, rows), logits(code, rows), rtol=1e-3, atol=1e-4)
    flat = [Levels(2.0**-9, np.rint(part.tensor() / 2.0**-9).astype(np.int64)) for part in parts]
    assert len(encode(code)) < 0.6 * len(encode(NetworkCode(found.architecture, tuple(flat))))
    kernel = parts[0].levels[0, 0].astype(float) * 0.125
    expected = scipy.fft.idctn(kernel, norm="ortho")
    np.testing.assert_allclose(parts[0].tensor()[0, 0], expected, atol=1e-3)
