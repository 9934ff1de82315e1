"""Codes of a few bytes whose networks would take any memory or time, or that no runtime computes."""

import numpy as np
import onnxruntime
import pytest

from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.grammar import Grammar
from onnxbound.codec.mixing import Reader, Writer
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.select_words import LARGEST_COUNT
from onnxbound.codec.sentence import code_architecture
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.branches import Add
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.mean import Mean
from onnxbound.operators.operator import Operator
from onnxbound.operators.pad import Pad
from onnxbound.operators.select import Select
from onnxbound.operators.windows import Windows


def chain(shape: tuple[int, ...], *operators: Operator, mirrored: bool = False) -> Architecture:
    nodes = (CodedNode(operator, (place,)) for place, operator in enumerate(operators))
    return Architecture(shape, tuple(nodes), mirrored)


def again(architecture: Architecture) -> Architecture:
    """Written and read."""
    writer = Writer()
    code_architecture(Grammar(writer), architecture)
    return code_architecture(Grammar(Reader(writer.finish())), None)


def large_tensors(count: int) -> Architecture:
    """That many tensors of 2^22 numbers, which are all read at the end."""
    pads = tuple(CodedNode(Pad((0, 0, 0), (0, 1020, 2044), float(k)), (0,)) for k in range(count))
    every = tuple(range(count, 0, -1))
    ends = (CodedNode(Add((1,) * count), every), CodedNode(Mean((1, 2), keep=False), (count + 1,)))
    return Architecture((2, 4, 4), pads + ends)


def test_tensors_that_are_held_together() -> None:
    """At most 2^27 numbers, and half as many where the mirror image is computed too."""
    last = (1 << 27) // (1 << 22) - 2  # with their sum, the row and the logits
    assert len(again(large_tensors(last)).nodes) == last + 2
    with pytest.raises(Malformed, match="too much memory"):
        again(large_tensors(last + 1))
    half = large_tensors(last // 2)
    again(half)
    with pytest.raises(Malformed, match="too much memory"):
        again(Architecture(half.input_shape, large_tensors(last // 2 + 2).nodes, mirrored=True))


@pytest.mark.parametrize(("nodes", "refused"), [(15, False), (16, True)])
def test_tensors_that_are_read_again_and_again(nodes: int, *, refused: bool) -> None:
    """2^14 of them, of which the first node reads one."""
    adds = tuple(CodedNode(Add((1,) * 1024), (k,) * 1024) for k in range(1, nodes + 1))
    sums = Architecture((2, 1, 2), (CodedNode(Mean((1, 2), keep=False), (0,)), *adds))
    if refused:
        with pytest.raises(Malformed, match="too much memory"):
            again(sums)
    else:
        assert len(again(sums).nodes) == nodes + 1


@pytest.mark.parametrize("count", [1, 2])
def test_entries_that_are_chosen(count: int) -> None:
    """In one choice or in several, no more than numbers in tensors."""
    shape = (2, 1 << 10, (LARGEST_COUNT // (2 << 10)) + (count == 1))
    backwards = np.arange(np.prod(shape)).reshape(shape)[:, ::-1]
    with pytest.raises(Malformed, match="too many entries" if count == 1 else "more than 4,194,304"):
        again(chain(shape, *[Select(backwards)] * count, Mean((1, 2), keep=False)))


@pytest.mark.parametrize("pool", [MaxPool, lambda windows: AveragePool(windows, count_pads=True)])
def test_padding_of_a_pool_that_no_runtime_takes(pool: type[MaxPool]) -> None:
    """As wide as the kernel, though not as wide as the dilated kernel."""
    one, two = (pool(Windows((4, 4), (2, 2), (1, 1), (2, 2), (wide, wide), (wide, wide))) for wide in (1, 2))
    assert len(again(chain((3, 4, 4), one, Mean((1, 2), keep=False))).nodes) == 2
    with pytest.raises(Malformed, match="padding of a pool"):
        again(chain((3, 4, 4), two, Mean((1, 2), keep=False)))


@pytest.mark.parametrize("operator", [Mean((), keep=True), Add((1,))])
def test_a_network_that_does_nothing(operator: Operator) -> None:
    """A runtime gives back the row."""
    model = again(chain((3,), operator)).model().SerializeToString()
    rows = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(model).run(["logits"], {"input": rows})
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(("shape", "axis"), [((2, 4, 6), 3), ((6, 4, 2), 2), ((4, 5, 4), 3)])
def test_the_width_of_an_image(shape: tuple[int, int, int], axis: int) -> None:
    """The last axis, or the one before where the first axis is longer than the last: channels last."""
    first, last = (np.arange(np.prod(shape)).reshape(shape)[place] for place in (np.s_[:1, :1, :2], np.s_[:1, :2, :1]))
    seen = again(chain(shape, Select(np.concatenate([first.ravel(), last.ravel()])), mirrored=True))
    rows = np.random.default_rng(1).normal(size=(5, *shape)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(seen.model().SerializeToString()).run(["logits"], {"input": rows})
    both = (rows + np.flip(rows, axis)) / 2
    expected = [both[:, 0, 0, 0], both[:, 0, 0, 1], both[:, 0, 0, 0], both[:, 0, 1, 0]]
    np.testing.assert_allclose(found, np.stack(expected, axis=1), rtol=1e-6)
