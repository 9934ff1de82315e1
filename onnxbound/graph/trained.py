"""Which numbers of a file were trained."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.lookup import Lookup
from onnxbound.operators.operator import Array, Operator
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.operators.weighted import Weighted

_ROUNDING = 4e-7
"""Of float32, relative, to the fourth power and inverted."""


@dataclass(frozen=True, slots=True)
class Constants:
    """The constants of a graph, and where they come from.

    Attributes:
        values: By name.
        origins: Constant to the one of the file whose entries it rearranges, chooses, repeats or converts.
        made: Constants that stand in no file.
    """

    values: Mapping[str, Array]
    origins: Mapping[str, str]
    made: Collection[str]

    def trained(self, node: GraphNode, operator: Operator, *, weighted: bool) -> tuple[tuple[str, int], ...]:
        """Name and size of the trained constants of a node; see `Network.parameters` for the rule.

        Args:
            node: The node.
            operator: What it was parsed into.
            weighted: Whether a weighted layer or a table of embeddings came before.
        """
        single: tuple[tuple[str, int], ...] = ()
        if node.op_type == "BatchNormalization":
            names = node.inputs[1:3]
        elif isinstance(operator, Weighted | SaturatingRounding) or node.op_type == "PRelu":
            names = node.inputs[1:]
        elif isinstance(operator, Lookup):
            names = node.inputs[:1]
        elif isinstance(operator, ElementwiseAffine):
            rank = 1 if node.op_type in ("Mul", "Div") else 0  # what is added to one unit is a bias
            names = tuple(name for name in node.inputs if weighted and not self._by_hand(name, rank))
        else:
            names = tuple(name for name in node.inputs if self._is_number(name) and not self._by_hand(name))
            single = tuple(self._attributes(node))
        known = [name for name in names if name in self.values and name not in self.made]
        origins = {name: self.origins.get(name, name) for name in known}
        return *((origin, self._size(name, origin)) for name, origin in origins.items()), *single

    def _size(self, name: str, origin: str) -> int:
        """How many numbers are behind a constant: of what is repeated each once, of what is chosen from the chosen."""
        return min(int(np.size(self.values[known])) for known in (name, origin) if known in self.values)

    def _is_number(self, name: str) -> bool:
        value = np.asarray(self.values.get(name, 0))
        return value.dtype.kind == "f" and value.size == 1

    def _by_hand(self, name: str, rank: int = 2) -> bool:
        value = np.asarray(self.values.get(name, np.zeros(2)))
        return value.size == 1 and value.ndim <= rank and by_hand(float(value.ravel()[0]))

    def _attributes(self, node: GraphNode) -> Iterator[tuple[str, int]]:
        for name, value in node.attributes().items():
            # The two numbers of a Selu follow from its definition.
            if isinstance(value, float) and not by_hand(value) and node.op_type != "Selu":
                yield f"{node.where}/{name}", 1


def by_hand(value: float) -> bool:
    """Whether a number looks written by hand: it, its square or its fourth power, or the inverse, has at most 3 digits.

    So have the 6 of a Relu6, the slopes of a LeakyRelu, and the scale 1 / sqrt(d) of attention and its root. About two
    in a thousand trained numbers have, too.

    >>> by_hand(0.01), by_hand(48**-0.25), by_hand(0.2340981)
    (True, True, False)
    """
    if value == 0 or not np.isfinite(value):
        return True
    powers = (abs(value), value**2, value**4)
    forms = [form for power in powers for form in (power, 1 / max(power, 1e-300)) if 1e-290 < form < 1e290]
    return any(abs(form - float(f"{form:.2e}")) <= _ROUNDING * form for form in forms)
