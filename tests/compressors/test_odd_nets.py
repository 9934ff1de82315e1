"""Nets and rows that an attack found to break the search or its words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from onnx import NodeProto, helper

from onnxbound.compressors.compression import Compression
from onnxbound.compressors.method import Method
from onnxbound.compressors.request import Request
from onnxbound.compressors.vector import _uniform
from onnxbound.data.open import open_rows
from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from onnxbound.rng import normal_noise
from onnxbound.run.device import CPU
from onnxbound.run.logits import Logits
from onnxbound.verbs.compress import compress
from tests.nets import write_model

Constants = Mapping[str, np.ndarray]
RANDOM = np.random.default_rng(0)
SMALLEST, INT8 = Request(), Request(Method("int8-weights"))


def weight(*shape: int) -> np.ndarray:
    return (RANDOM.normal(size=shape) * np.sqrt(2 / shape[-1])).astype(np.float32)


def gemm(x: str, w: str, b: str, out: str, trans: int = 1) -> NodeProto:
    return helper.make_node("Gemm", [x, w, b], [out], transB=trans)


def relu(x: str, out: str) -> NodeProto:
    return helper.make_node("Relu", [x], [out])


TWO = [gemm("x", "w0", "b0", "z"), relu("z", "a"), gemm("a", "w1", "b1", "logits")]
CONSTANTS = {
    "w0": weight(32, 20),
    "b0": np.full(32, 0.1, np.float32),
    "w1": weight(5, 32),
    "b1": np.zeros(5, np.float32),
}


class Case:
    """A net with training and test rows, their labels its own decisions but for a share."""

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[NodeProto],
        constants: Mapping[str, np.ndarray],
        shape: tuple[int, ...] = (20,),
    ) -> None:
        self.folder = folder
        self.path = write_model(folder / "net.onnx", list(nodes), dict(constants), ["N", *shape])
        self.network = load(self.path)
        self.shape = shape

    def compressed(self, asked: Request, *, size: float = 1, rows: int = 8000) -> Compression:
        random = np.random.default_rng(1)
        sets = []
        for count in (rows, 4000):
            x = (size * random.normal(size=(count, *self.shape))).astype(np.float32)
            y = Logits(self.network, CPU, 1).run(x).argmax(axis=1)
            y = np.where(random.random(count) < 0.2, random.integers(0, self.network.classes, count), y)
            sets.append(open_rows((x, y), self.network))
        out = self.folder / "small.onnx"
        return compress(self.network, sets[0], out, asked, test=sets[1], force=True, progress=False)


@pytest.mark.parametrize(("scale", "size"), [(1e-9, 1e9), (1e6, 1)])
def test_floats_of_16_bits_that_break_the_net_are_not_tested_first(scale: float, size: float, tmp_path: Path) -> None:
    """Weights too small or too large for them; integers with a scale bear both."""
    which = "w0" if scale < 1 else "w1"
    constants = CONSTANTS | {which: CONSTANTS[which] * np.float32(scale)}
    found = Case(tmp_path, TWO, constants).compressed(SMALLEST, size=size)
    assert found.guarantee is not None
    assert found.guarantee.measured.drop < 0.01
    assert found.tried[0].chosen_by.drop > 0.1
    assert found.tried[0].tested_by is None


def test_what_is_dead_at_two_rows_stays(tmp_path: Path) -> None:
    found = Case(tmp_path, TWO, CONSTANTS).compressed(SMALLEST, rows=2)
    whole = sum(CONSTANTS[name].size for name in ("w0", "w1"))
    assert found.guarantee is not None
    assert found.guarantee.measured.drop < 0.05
    assert any(attempt.weights == whole for attempt in found.tried)


def test_a_weight_that_is_read_both_ways_is_left_alone(tmp_path: Path) -> None:
    """As W by one layer and as its transpose by another: no single scale per unit serves both."""
    nodes = [
        gemm("x", "w0", "b0", "z0"), relu("z0", "a0"), gemm("a0", "w0", "b1", "z1", 0), relu("z1", "a1"),
        gemm("a1", "w2", "b2", "logits"),
    ]  # fmt: skip
    constants = {"w0": weight(20, 20), "w2": weight(5, 20)}
    constants |= {"b0": np.zeros(20, np.float32), "b1": np.zeros(20, np.float32), "b2": np.zeros(5, np.float32)}
    case = Case(tmp_path, nodes, constants)
    for asked in (SMALLEST, INT8):
        found = case.compressed(asked)
        assert [layer.method != "kept" for layer in found.layers] == [False, True]
        assert "cannot be rewritten" in found.layers[0].reason
        assert found.guarantee is not None
        assert found.guarantee.measured.drop < 0.01


def test_a_matrix_with_an_axis_of_length_one(tmp_path: Path) -> None:
    """Its scales stand along the last axis."""
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["m"]),
        relu("m", "a"),
        helper.make_node("ReduceMean", ["a"], ["p"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["p", "w1"], ["logits"], transB=1),
    ]
    for width in (32, 24):
        found = Case(tmp_path, nodes, {"w0": weight(1, 32, width), "w1": 4 * weight(5, width)}, (3, 32)).compressed(
            INT8
        )
        assert [layer.method for layer in found.layers] == ["int8-weights"] * 2
        assert found.guarantee is not None
        assert found.guarantee.measured.drop < 0.01


def test_a_product_that_is_added_to_itself(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["m"]),
        helper.make_node("Add", ["m", "m"], ["z"]),
        relu("z", "a"),
        gemm("a", "w1", "b1", "logits"),
    ]
    found = Case(tmp_path, nodes, CONSTANTS | {"w0": weight(20, 32)}).compressed(INT8)
    assert found.guarantee is not None
    assert found.guarantee.measured.drop < 0.01


@pytest.mark.filterwarnings("error")
def test_a_net_that_seldom_decides_is_not_fine_tuned(tmp_path: Path) -> None:
    """All logits of most rows are 0."""
    nodes = [*TWO[:-1], gemm("a", "w1", "b1", "z1"), relu("z1", "logits")]
    case = Case(tmp_path, nodes, CONSTANTS | {"b1": np.full(5, -4, np.float32)})
    assert not case.compressed(SMALLEST).fine_tuned
    with pytest.raises(UsageError, match="cannot be fine-tuned"):
        case.compressed(Request(Method("int4-weights", fine_tune=True)))


def test_logits_of_any_size_are_fine_tuned_alike(tmp_path: Path) -> None:
    """Down to where single precision ends."""
    found = []
    for number, scale in enumerate((1.0, 2.0**-40)):
        folder = tmp_path / str(number)
        folder.mkdir()
        constants = CONSTANTS | {"w1": CONSTANTS["w1"] * np.float32(scale)}
        asked = Request(Method("int4-weights", fine_tune=True))
        found.append(Case(folder, TWO, constants).compressed(asked))
    assert found[0].fine_tuned == found[1].fine_tuned
    assert found[0].guarantee is not None
    assert found[1].guarantee is not None
    assert abs(found[0].guarantee.measured.drop - found[1].guarantee.measured.drop) < 0.01


def test_a_copy_of_the_training_rows_guarantees_nothing(tmp_path: Path) -> None:
    case = Case(tmp_path, TWO, CONSTANTS)
    x, y = RANDOM.normal(size=(900, 20)).astype(np.float32), np.arange(900) % 5
    for name in ("train", "copy"):
        np.savez(tmp_path / f"{name}.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    train, copy = (open_rows(tmp_path / f"{name}.npz", case.network) for name in ("train", "copy"))
    with pytest.raises(UsageError, match="The test rows are the training rows"):
        compress(case.network, train, tmp_path / "small.onnx", INT8, test=copy, progress=False)


def test_a_layer_that_was_not_chosen_says_so(tmp_path: Path) -> None:
    case = Case(tmp_path, TWO, CONSTANTS)
    name = case.network.layers[1].name
    found = case.compressed(Request(Method("int8-weights"), layers=(name,)))
    assert [layer.reason for layer in found.layers] == ["not chosen", ""]


def test_seeds_beyond_63_bits_differ() -> None:
    seeds = (2**63, 2**63 + 1, 2**64 - 1)
    drawn = [normal_noise(seed, 1, np.array([0]), 0, 8).tolist() for seed in seeds]
    assert len({str(each) for each in drawn}) == 3
    assert len({str(_uniform(8, seed, 0).tolist()) for seed in seeds}) == 3
