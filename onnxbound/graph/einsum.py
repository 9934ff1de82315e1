"""Einsum of two factors: a linear layer, or a product of matrices that depend on the row, as in attention."""

from collections.abc import Mapping
from math import prod

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.operators.operator import Array, Shape, Unsupported


def einsum(node: GraphNode, shapes: Mapping[str, Shape], constants: Mapping[str, Array], write: NodeWriter) -> None:
    """Einsum: a MatMul of two activations, or of an activation (along its last axis) and a constant matrix."""
    equation = str(node.attributes()["equation"]).replace(" ", "")
    terms, _, result = equation.partition("->")
    factors = terms.split(",")
    if len(factors) != 2 or len(node.inputs) != 2:
        raise Unsupported(f"equation {equation!r} is not of two factors")
    if all(name in shapes for name in node.inputs):
        _product_of_activations(node, shapes, (factors[0], factors[1], result), write)
        return
    factors, result = [factor.replace("...", "") for factor in factors], result.replace("...", "")
    (x, a), (w, b) = sorted(zip(node.inputs, factors, strict=True), key=lambda pair: pair[0] in constants)
    summed, kept = a[-1:], "".join(set(b) - set(a))
    if sorted(b) != sorted(summed + kept) or result != a[:-1] + kept or len(kept) != 1:
        raise Unsupported(f"equation {equation!r} is not a linear layer along the activation's last axis")
    weight = np.asarray(constants[w])
    right = w if b == summed + kept else write.constant(np.ascontiguousarray(weight.T), origin=w)
    write.add("MatMul", x, right, output=node.outputs[0])


def _product_of_activations(
    node: GraphNode, shapes: Mapping[str, Shape], equation: tuple[str, str, str], write: NodeWriter
) -> None:
    """MatMul of both factors, their axes in the order (in all three terms, own, summed) and (in all, summed, own)."""
    a, b, result = equation
    shared = [letter for letter in a if letter in b and letter in result]
    summed = [letter for letter in a if letter in b and letter not in result]
    left, right = ([letter for letter in term if letter in result and letter not in shared] for term in (a, b))
    distinct = all(len(set(term)) == len(term) and term.isalpha() for term in equation)
    whole = len(shared + left + summed) == len(a) and len(shared + right + summed) == len(b)
    if not distinct or not whole or len(shared + left + right) != len(result) or a[0] != b[0] or result[0] != a[0]:
        raise Unsupported(f"equation {'{},{}->{}'.format(*equation)!r} is not a product of matrices for each row")
    lengths = dict(zip(a[1:], shapes[node.inputs[0]], strict=True)) | dict(
        zip(b[1:], shapes[node.inputs[1]], strict=True)
    )

    def sizes(*groups: list[str]) -> list[int]:
        return [prod(lengths[letter] for letter in group if letter != a[0]) for group in groups]

    def arranged(name: str, term: str, *groups: list[str]) -> str:
        perm = [term.index(letter) for group in groups for letter in group]
        return write.reshape(write.add("Transpose", name, perm=perm), sizes(*groups))

    first = arranged(node.inputs[0], a, shared, left, summed)
    second = arranged(node.inputs[1], b, shared, summed, right)
    product = write.add("MatMul", first, second)
    letters = shared + left + right
    apart = write.reshape(product, sizes(*([letter] for letter in letters[1:])))
    write.add("Transpose", apart, perm=[letters.index(letter) for letter in result], output=node.outputs[0])
