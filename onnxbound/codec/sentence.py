"""The architecture of a network as decisions: its operators, their order, their inputs and their settings.

A sentence is a list of nodes. Each names its operator, whose probability depends on the operator before it, then the
tensors that it reads, then its settings. The end can be said only where the last tensor is a vector of K logits and
every other tensor is read, so nothing unreachable is ever written. No operator of the grammar knows the batch axis.
"""

from collections.abc import Mapping
from math import prod

from onnxbound.codec.architecture import Architecture, CodedNode, has_mirror_image, tensors_of
from onnxbound.codec.grammar import Grammar
from onnxbound.codec.input_words import code_inputs
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.select_words import LARGEST_COUNT
from onnxbound.codec.vocabulary import WORDS, code_shape
from onnxbound.codec.window_words import LARGEST_ROW, unfolded
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.dense import Dense
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.operator import Shape, Unsupported
from onnxbound.operators.select import Select
from onnxbound.operators.weighted import Weighted

_LARGEST_READS = 1 << 14
"""Tensors that all nodes read, each as often as it is read."""

_LARGEST_HELD = 1 << 27
"""Numbers in all tensors of a row together: a runtime may hold them all at a time."""

_LARGEST_WORK = 1 << 33
"""Products that one row may take."""

_IMPOSSIBLE = (ArithmeticError, LookupError, TypeError, ValueError, Unsupported)
"""What an operator raises of shapes that it does not take: a Conv of a single number, say."""

_CLASSES, _CLASS_WEIGHTS = (10, 2, 100, 1000, 3), (8, 2, 2, 1, 1, 2)
_SIDES, _SIDE_WEIGHTS = (32, 28, 224, 64, 96), (6, 6, 1, 1, 1, 1)
_CHANNELS, _CHANNEL_WEIGHTS = (1, 3), (7, 8, 1)

_NAMES = (
    "Conv", "Dense", "Relu", "MaxPool", "Reshape", "Add", "AveragePool", "Mean", "LeakyRelu", "Clip",
    "ElementwiseAffine", "Concat", "Smooth", "Softmax", "Product", "MatrixProduct", "Transpose", "Pad", "Select",
    "SaturatingRounding",
)  # fmt: skip
_FOLLOWING: Mapping[str, Mapping[str, int]] = {
    "": {"Conv": 40, "Dense": 20, "Reshape": 20, "ElementwiseAffine": 6, "Transpose": 4},
    "Conv": {"Relu": 60, "Conv": 12, "Add": 12, "MaxPool": 4, "LeakyRelu": 6, "Smooth": 6, "Clip": 4},
    "Dense": {"Relu": 40, "end": 40, "LeakyRelu": 5, "Smooth": 6, "Dense": 2, "Add": 4, "Reshape": 4},
    "MaxPool": {"Conv": 30, "Reshape": 25, "Relu": 8, "Concat": 3},
    "Reshape": {"Dense": 60, "Conv": 3, "Transpose": 5},
    "Add": {"Relu": 30, "Conv": 20, "Mean": 4, "ElementwiseAffine": 8},
    "AveragePool": {"Conv": 15, "Reshape": 30, "Concat": 4},
    "Mean": {"Reshape": 60, "Dense": 15, "Add": 10},
    "gate": {"Conv": 40, "Dense": 22, "MaxPool": 16, "Reshape": 10, "Mean": 6, "AveragePool": 4, "Add": 2, "Concat": 2},
    "other": {"Conv": 5, "Dense": 5, "Relu": 5, "Reshape": 5, "Add": 4, "end": 2},
}
"""What the next operator is, by the one before: weights, 1 for those that are not named."""

_GATES = ("Relu", "LeakyRelu", "Clip", "Smooth")


def code_architecture(g: Grammar, given: Architecture | None) -> Architecture:
    """Write or read an architecture.

    Raises:
        Malformed: The network is too large, the code format lacks an operator, or what is read contradicts itself.
    """
    try:
        return _code_architecture(g, given)
    except Unsupported as error:
        raise Malformed(error.why) from error


def _code_architecture(g: Grammar, given: Architecture | None) -> Architecture:
    classes = g.usual(None if given is None else given.classes, _CLASSES, _CLASS_WEIGHTS)
    if classes < 2:
        raise Malformed("a classifier has at least two classes")
    shapes = [_code_input_shape(g, None if given is None else given.input_shape)]
    mirrored = has_mirror_image(shapes[0]) and g.flag(None if given is None else given.mirrored, 1, 7)
    if given is not None and given.mirrored != mirrored:
        raise Malformed("only an image has a mirror image")
    nodes: list[CodedNode] = []
    unread = [0]
    work = numbers = reads = 0
    held = prod(shapes[0])
    while True:
        last = len(nodes)
        node = None if given is None or last == len(given.nodes) else given.nodes[last]
        complete = last > 0 and unread == [last] and shapes[-1] == (classes,)
        place = _code_kind(g, _place_of(given, node), nodes, complete=complete)
        if place == len(WORDS):
            break
        inputs = code_inputs(g, None if node is None else node.inputs, WORDS[place].inputs, last, unread)
        before = tuple(shapes[k] for k in inputs)
        extra = (classes,) if WORDS[place].kind is Dense else ()
        try:
            operator = WORDS[place].code(g, None if node is None else node.operator, before, *extra)
            shapes.append(operator.output_shape(*before))
        except _IMPOSSIBLE as error:
            raise Malformed(f"a {WORDS[place].kind.__name__} cannot take inputs of the shapes {before}") from error
        nodes.append(CodedNode(operator, inputs))
        unread.append(last + 1)
        done = sum(map(prod, (*before, shapes[-1])))
        if isinstance(operator, Weighted):
            done += operator.weight.size * operator.positions(before[0])
        elif isinstance(operator, MaxPool | AveragePool):
            done += prod(operator.windows.kernel) * prod(shapes[-1])
        work += (1 + mirrored) * done
        numbers += sum(values.size for _, values in tensors_of(operator))
        numbers += operator.source.size if isinstance(operator, Select) else 0
        held, reads = held + prod(shapes[-1]), reads + len(inputs)
        if (
            max(prod(shapes[-1]), *unfolded(operator, before[0])) > LARGEST_ROW
            or (1 + mirrored) * held > _LARGEST_HELD
            or work > _LARGEST_WORK
            or reads > _LARGEST_READS
        ):
            raise Malformed("a row of the network would take too much memory or time")
        if numbers > LARGEST_COUNT:
            raise Malformed(f"the network has more than {LARGEST_COUNT:,} numbers")
    return given or Architecture(shapes[0], tuple(nodes), mirrored)


def _code_input_shape(g: Grammar, given: Shape | None) -> Shape:
    """A square image, an image, or any other shape."""
    square = given is not None and len(given) == 3 and given[1] == given[2]
    if g.flag(None if given is None else square, 3, 1):
        channels = g.usual(None if given is None else given[0], _CHANNELS, _CHANNEL_WEIGHTS)
        side = g.usual(None if given is None else given[1], _SIDES, _SIDE_WEIGHTS)
        image: Shape = (channels, side, side)
        if not 0 < prod(image) <= LARGEST_ROW:
            raise Malformed("a row is empty or too large")
        return image
    shape = code_shape(g, given)
    if not shape or (len(shape) == 3 and shape[1] == shape[2]):
        raise Malformed("the shape of a row is not in its shortest form")
    return shape


def _place_of(given: Architecture | None, node: CodedNode | None) -> int | None:
    if given is None:
        return None
    if node is None:
        return len(WORDS)
    for place, word in enumerate(WORDS):
        if type(node.operator) is word.kind:
            return place
    raise Malformed(f"a code cannot express the operator {type(node.operator).__name__}")


def _code_kind(g: Grammar, given: int | None, nodes: list[CodedNode], *, complete: bool) -> int:
    """The place of the next word, or of the end behind them all."""
    before = type(nodes[-1].operator).__name__ if nodes else ""
    likely = _FOLLOWING.get("gate" if before in _GATES else before, _FOLLOWING["other"])
    weights = [likely.get(name, 1) for name in _NAMES]
    return g.choice(given, (*weights, likely.get("end", 1) if complete else 0))
