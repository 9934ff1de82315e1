"""Check what a file asks for before memory, disk or another library is spent on it.

The message has been parsed, which costs no more than the file itself; nothing it declares has been believed yet.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from onnxbound.errors import ModelError, Problem

LARGEST_NODES = 1 << 20
"""Nodes that a graph may have once its local functions are written out."""

LARGEST_ENTRIES = 1 << 25
"""Entries of one row of a tensor, of a constant that the graph computes, or of a sparse tensor written out."""

LARGEST_BATCH_ENTRIES = 1 << 30
"""Entries of a batch, where the model fixes its length."""

_DEEPEST_CALLS = 100
"""Functions that may call one another in a row."""

_AGAIN = "export the model again"
_STANDARD_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training"}
RUNTIME_DOMAINS = ("com.microsoft", "com.ms", "org.pytorch")
"""Domains that onnxruntime brings itself; what is not in them comes from a library that a user would have to load."""

_PACKED_BITS = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}


def screen(model: ModelProto) -> None:
    """Refuse a model that contradicts itself, or whose declarations ask for more than the file contains.

    Raises:
        ModelError: model-graph-invalid for names given twice and for functions that call themselves, model-invalid for
            tensors whose content is not of their declared size, model-external-data for tensors of nodes that lie in
            other files, model-custom-operator, or model-too-large.
    """
    _require_text(model)
    _require_unique_names(model)
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    for where, tensor in _tensors_of_graph(model.graph):
        _require_declared_size(where, tensor)
    for where, tensor in _tensors_in_nodes(model):
        _require_declared_size(where, tensor)
        if isinstance(tensor, TensorProto) and tensor.data_location == TensorProto.EXTERNAL:
            raise ModelError(
                "model-external-data",
                "A node of the model keeps a tensor in another file.",
                [Problem(where, "only the main graph's weights may be elsewhere", "keep it inside the model file")],
            )
    _require_no_custom_operators(model)
    for where, node in _all_nodes(model):
        _require_signature(where, node, opsets.get(node.domain, 1))
    _require_finite_expansion(model)


def is_of_packed_type(tensor: TensorProto) -> bool:
    """Whether several of its entries share a byte."""
    return TensorProto.DataType.Name(tensor.data_type) in _PACKED_BITS


def _require_text(model: ModelProto) -> None:
    """Strings of a message that are no UTF-8 come out of the parser as bytes."""
    for where, words in _words(model):
        for broken in (word for word in words if not isinstance(word, str)):
            raise _contradiction(where, f"{broken!r} in it is not valid UTF-8")


def _words(model: ModelProto) -> Iterator[tuple[str, Iterable[object]]]:
    own = (model.producer_name, model.producer_version, model.domain, model.doc_string)
    metadata = (word for entry in model.metadata_props for word in (entry.key, entry.value))
    yield "model", (*own, *metadata, *(entry.domain for entry in model.opset_import))
    for function in model.functions:
        signature = (*function.input, *function.output, *function.attribute)
        yield "function", (function.name, function.domain, function.overload, *signature)
    for place, node in _all_nodes(model):
        names = (attribute.name for attribute in node.attribute)
        yield place, (node.name, node.op_type, node.domain, node.overload, *node.input, *node.output, *names)
    graph = model.graph
    yield "graph", (graph.name, *(value.name for value in (*graph.input, *graph.output, *graph.value_info)))
    for tensor in (*graph.initializer, *(t for s in graph.sparse_initializer for t in (s.values, s.indices))):
        pairs = ((entry.key, entry.value) for entry in tensor.external_data)
        yield "initializer", (tensor.name, *(word for pair in pairs for word in pair))


def _require_unique_names(model: ModelProto) -> None:
    graph = model.graph
    families = {
        "initializer": [t.name for t in graph.initializer] + [t.values.name for t in graph.sparse_initializer],
        "input": [value.name for value in graph.input],
        "function": [f"{f.domain}::{f.name}::{f.overload}" for f in model.functions],
    }
    problems = [
        Problem(f"{family} {name!r}", f"{count} of them have that name", _AGAIN)
        for family, names in families.items()
        for name, count in Counter(names).items()
        if count > 1
    ]
    # skl2onnx writes the default domain twice, with the same version.
    imported = sorted({(entry.domain or "ai.onnx", entry.version) for entry in model.opset_import})
    for (domain, one), (other, two) in pairwise(imported):
        if domain == other:
            problems.append(Problem(f"operator set {domain!r}", f"both versions {one} and {two} are imported", _AGAIN))
    if problems:
        raise ModelError("model-graph-invalid", "The model uses a name twice.", problems)


def _require_declared_size(where: str, tensor: TensorProto | SparseTensorProto) -> None:
    dims = tuple(tensor.dims)
    if any(n < 0 for n in dims):
        raise _contradiction(where, f"it has the shape {dims}")
    if isinstance(tensor, SparseTensorProto):
        if prod(dims) > LARGEST_ENTRIES:
            raise too_large(where, f"written out it has {prod(dims):,} entries")
        return
    if tensor.data_type not in TensorProto.DataType.values() or tensor.data_type == TensorProto.UNDEFINED:
        raise _contradiction(where, f"its element type has the number {tensor.data_type}, which ONNX does not define")
    if tensor.data_location == TensorProto.EXTERNAL:
        return
    held, declared = _held_and_declared(tensor)
    if held != declared:
        raise _contradiction(where, f"the shape {dims} needs {declared:,} bytes or numbers, and it holds {held:,}")


def _held_and_declared(tensor: TensorProto) -> tuple[int, int]:
    """What a tensor holds and what its shape and type ask for, in bytes if it is raw, in numbers if not."""
    entries, kind = prod(tensor.dims), TensorProto.DataType.Name(tensor.data_type)
    packed = _PACKED_BITS.get(kind)
    if kind != "STRING" and tensor.HasField("raw_data"):
        bits = packed or 8 * onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        return len(tensor.raw_data), -(-entries * bits // 8)
    held = len(getattr(tensor, onnx.helper.tensor_dtype_to_field(tensor.data_type)))
    if packed:
        return held, -(-entries * packed // 8)
    return held, 2 * entries if kind.startswith("COMPLEX") else entries


def _require_no_custom_operators(model: ModelProto) -> None:
    local = {(f.domain, f.name) for f in model.functions}
    problems = []
    for where, node in _all_nodes(model):
        known = node.domain in _STANDARD_DOMAINS or node.domain.startswith(RUNTIME_DOMAINS)
        if not known and (node.domain, node.op_type) not in local:
            why = f"the operator {node.op_type!r} of the domain {node.domain!r} comes from a library beside the model"
            do = "export the model with standard operators; onnxbound loads no libraries that a model asks for"
            problems.append(Problem(where, why, do))
    if problems:
        raise ModelError("model-custom-operator", "The model needs operators that ONNX does not define.", problems[:20])


def _require_signature(where: str, node: NodeProto, opset: int) -> None:
    """Check a node against its operator's definition: its inputs, its outputs and the types of its attributes.

    Operators and attributes without a definition pass: exporters write attributes that a newer version has dropped.
    """
    problems = [
        Problem(f"attribute {name!r} of {where}", "it is given twice", _AGAIN)
        for name, count in Counter(attribute.name for attribute in node.attribute).items()
        if count > 1
    ]
    schemas = _definitions(node, opset)
    defined = schemas[0].attributes if schemas else {}
    for attribute in node.attribute:
        kind = onnx.AttributeProto.AttributeType.Name(attribute.type)
        wanted = str(defined[attribute.name].type).rpartition(".")[2] if attribute.name in defined else kind
        if attribute.ref_attr_name and where.startswith("graph"):
            why = "it refers to an attribute of a function, and the node is in no function"
            problems.append(Problem(f"attribute {attribute.name!r} of {where}", why, _AGAIN))
        elif wanted != kind or attribute.type == onnx.AttributeProto.UNDEFINED:
            why = f"it is of the type {kind}, not {wanted}"
            problems.append(Problem(f"attribute {attribute.name!r} of {where}", why, _AGAIN))
    if schemas:
        # Files of old opsets leave out what has become optional since.
        least, most = min(schema.min_input for schema in schemas), max(schema.max_input for schema in schemas)
        if not all(node.input[:least]) or not least <= len(node.input) <= most or not any(node.output):
            why = f"it has {len(node.input)} inputs and {len(node.output)} outputs, and takes {least} to {most} inputs"
            problems.append(Problem(where, why, _AGAIN))
    if problems:
        raise ModelError("model-graph-invalid", "A node does not follow the definition of its operator.", problems)


def _definitions(node: NodeProto, opset: int) -> tuple[onnx.defs.OpSchema, ...]:
    """An operator as defined in an operator set and in the newest; none if it is unknown."""
    domain = "" if node.domain == "ai.onnx" else node.domain
    try:
        return tuple(onnx.defs.get_schema(node.op_type, n, domain) for n in (opset, onnx.defs.onnx_opset_version()))
    except (onnx.defs.SchemaError, TypeError):  # a version that is no 32-bit number is a type error
        return ()


def _require_finite_expansion(model: ModelProto) -> None:
    """Count the nodes that inlining would make, each function once, also of functions that nobody calls."""
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Iterable[NodeProto], callers: tuple[tuple[str, str], ...]) -> int:
        return sum(_of_node(node, callers) for node in nested(nodes))

    def _of_node(node: NodeProto, callers: tuple[tuple[str, str], ...]) -> int:
        key = (node.domain, node.op_type)
        if key not in functions:
            return 1
        if len(callers) > _DEEPEST_CALLS:
            raise too_large(f"function {key[1]!r}", f"functions call one another more than {_DEEPEST_CALLS} deep")
        if key in callers:
            raise ModelError(
                "model-graph-invalid",
                "A function of the model calls itself.",
                [Problem(f"function {key[1]!r}", "it calls itself, directly or through others", _AGAIN)],
            )
        if key not in sizes:
            sizes[key] = size(functions[key].node, (*callers, key))
        return sizes[key]

    total = max([size(model.graph.node, ()), *(size(f.node, (key,)) for key, f in functions.items())])
    if total > LARGEST_NODES:
        raise too_large("graph", f"it has {total:,} nodes with its functions written out")


def require_moderate_batch(batch: int, row: tuple[int, ...]) -> None:
    """Refuse a fixed batch of rows that takes more than 4 GiB in float32.

    Raises:
        ModelError: model-too-large.
    """
    if batch * prod(row) > LARGEST_BATCH_ENTRIES:
        raise too_large("input", f"its fixed batch of {batch:,} rows has {batch * prod(row):,} entries")


def require_moderate(where: str, shape: tuple[int, ...]) -> None:
    """Refuse a row of a tensor that is larger than any net's.

    Raises:
        ModelError: model-too-large.
    """
    if prod(shape) > LARGEST_ENTRIES:
        raise too_large(where, f"one row of it has the shape {shape}, {prod(shape):,} entries")


def too_large(where: str, why: str) -> ModelError:
    """The error of a model that asks for more than onnxbound gives any."""
    problem = Problem(where, why, "check that the file is the right one; onnxbound does not read nets of that size")
    return ModelError("model-too-large", f"The model is too large: {why}.", [problem])


def _contradiction(where: str, why: str) -> ModelError:
    problem = Problem(where, why, "check that the file was copied whole, or export the model again")
    return ModelError("model-invalid", f"The {where} cannot be read: {why}.", [problem])


def _all_nodes(model: ModelProto) -> Iterator[tuple[str, NodeProto]]:
    """Every node, those of functions and of graphs in attributes too, with its place."""
    places: list[tuple[str, GraphProto | FunctionProto]] = [("graph", model.graph)]
    places += [(f"function {f.name!r}", f) for f in model.functions]
    for place, holder in places:
        for index, node in enumerate(holder.node):
            for inner in nested([node]):
                yield f"{place}:node/{index} ({inner.op_type} {inner.name!r})", inner


def nested(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Nodes, and those in their attributes; the parser has bounded how deep they lie."""
    for node in nodes:
        yield node
        for graph in _subgraphs(node):
            yield from nested(graph.node)


def _subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _tensors_in_nodes(model: ModelProto) -> Iterator[tuple[str, TensorProto | SparseTensorProto]]:
    """Every tensor in an attribute, and in a graph that is one."""
    for where, node in _all_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield f"attribute {attribute.name!r} of {where}", attribute.t
            if attribute.HasField("sparse_tensor"):
                yield f"attribute {attribute.name!r} of {where}", attribute.sparse_tensor
            yield from ((f"attribute {attribute.name!r} of {where}", tensor) for tensor in attribute.tensors)
        for graph in _subgraphs(node):
            yield from _tensors_of_graph(graph)


def _tensors_of_graph(graph: GraphProto) -> Iterator[tuple[str, TensorProto | SparseTensorProto]]:
    for tensor in graph.initializer:
        yield f"initializer {tensor.name!r}", tensor
    for sparse in graph.sparse_initializer:
        yield f"initializer {sparse.values.name!r}", sparse
        yield f"initializer {sparse.values.name!r}", sparse.values
        yield f"initializer {sparse.values.name!r}", sparse.indices


def require_coordinates(name: str, indices: NDArray[Any], values: NDArray[Any], dims: tuple[int, ...]) -> None:
    """Refuse a sparse tensor whose coordinates do not lie within its shape, one per value.

    Raises:
        ModelError: model-invalid.
    """
    where = f"initializer {name!r}"
    flat = indices.ndim == 1
    fits = indices.dtype == np.int64 and values.ndim == 1 and len(indices) == len(values)
    if not fits or not (flat or (indices.ndim == 2 and indices.shape[1] == len(dims))):
        raise _contradiction(where, f"{values.shape} values have coordinates of shape {indices.shape}")
    ends = np.array(prod(dims) if flat else dims)
    if indices.size and not ((indices >= 0) & (indices < ends)).all():
        raise _contradiction(where, f"a coordinate lies outside the shape {dims}")
