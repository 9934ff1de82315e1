"""A network to bytes and back: what is read is what was written, and only the one file is accepted."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import onnxbound
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import Exact, Levels, NetworkCode, decode, encode, rounded_step
from onnxbound.codec.skeleton import Malformed, Skeleton, read_skeleton
from onnxbound.linear.curvature import parameters

FIXTURES = Path("fixtures")
NETS = ("mnist_mlp", "mnist_logistic", "cifar10_cnn", "cifar10_alexnet", "cifar10_resnet")


def on_lattice(name: str, share: float) -> tuple[Skeleton, NetworkCode]:
    """A net rounded to multiples of a share of each tensor's standard deviation; vectors are kept as they are."""
    described = describe(onnxbound.load(FIXTURES / f"{name}.onnx"))
    skeleton, tensors = described.skeleton, described.tensors
    parts: list[Levels | Exact] = []
    for values in tensors.values():
        if values.ndim < 2:
            parts.append(Exact(values))
        else:
            step = rounded_step(share * (float(values.std()) or 1.0))
            parts.append(Levels(step, np.rint(values / step).astype(np.int64)))
    return skeleton, NetworkCode(tuple(parts), (0.5, 0.25))


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
