"""The one place that makes onnxruntime sessions."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

from onnxbound.errors import DeviceError, ModelError, Problem
from onnxbound.graph.model_file import default_opset
from onnxbound.graph.network import Network
from onnxbound.run.allocator import return_freed_memory
from onnxbound.run.device import Device
from onnxbound.run.installation import import_onnxruntime
from onnxbound.run.opset import lowered
from onnxbound.run.scratch import scratch

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, OrtValue, SessionOptions

_FOLDER_KEY = "session.model_external_initializers_file_folder_path"
_NO_FUSION_KEY = "session.disable_quant_qdq"
"""Fused, a chain of QuantizeLinear and DequantizeLinear rounds otherwise than the file says.

Weights of 4 bits alone make onnxruntime round what a MatMul multiplies them by to 8 bits. Unfused, they are constants.
"""

_ROUNDING = {"QuantizeLinear", "DequantizeLinear"}

_LARGE = 1 << 29
"""Bytes of weights of which there is to be one copy, at the price of some speed."""

_WORTH_RETURNING = 1 << 23
"""Bytes of a model from which on what its building freed is returned: else it is soon needed again."""

_NONE: Mapping[str, NDArray[Any]] = MappingProxyType({})


def open_session(
    model: ModelProto,
    folder: Path,
    device: Device,
    threads: int | None,
    weights: Mapping[str, NDArray[Any]] = _NONE,
    *,
    as_written: bool = False,
    fused: bool = False,
) -> "InferenceSession":
    """Open a session for a model.

    Args:
        model: The model, whose external data may be in other files.
        folder: The folder of the file it came from, the only one in which the runtime would open files by itself.
        device: Where to run.
        threads: Threads within an operator; None for all cores.
        weights: Its external initializers, used without a copy: the caller keeps them while the session lives.
        as_written: Whether the runtime computes node after node, without optimising the graph.
        fused: Whether it may compute with integers where activations are rounded to integers, as it does by default.

    Raises:
        ModelError: model-opset, the runtime does not take this operator set or format version.
        DeviceError: device-runtime, or device-unavailable where the provider was refused in the end.
    """
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # an arena keeps the most it ever took; memory counts here
    options.intra_op_num_threads = threads or 0
    # A thread that spins while it waits takes its core from whoever else works there.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if as_written:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if not fused and any(node.op_type in _ROUNDING for node in model.graph.node):
        options.add_session_config_entry(_NO_FUSION_KEY, "1")
    model, _ = lowered(model)
    outside = [t.name for t in model.graph.initializer if t.data_location == TensorProto.EXTERNAL]
    values = {name: _in_place(weights[name]) for name in outside}
    one_copy = device.name == "cpu" and sum(weights[name].nbytes for name in outside) > _LARGE
    try:
        written = model.SerializeToString()
        if one_copy:
            session = _session_in_place(model, options, device, values)
        else:
            options.add_session_config_entry(_FOLDER_KEY, str(folder.resolve()))
            options.add_external_initializers(outside, list(values.values()))
            session = onnxruntime.InferenceSession(written, options, providers=list(device.providers))
    except Exception as error:
        raise _explained(error, model) from error
    if len(written) + sum(weights[name].nbytes for name in outside) > _WORTH_RETURNING:
        return_freed_memory()
    wanted = device.providers[0][0]
    if wanted not in session.get_providers():
        raise DeviceError(
            "device-unavailable",
            f"onnxruntime refused {wanted} and would run on {', '.join(session.get_providers())}.",
            [Problem("onnxruntime", "the provider was refused", 'use `device="cpu"`, or see "onnxbound env"')],
        )
    return session


def _session_in_place(
    model: ModelProto,
    options: "SessionOptions",
    device: Device,
    values: Mapping[str, "OrtValue"],
) -> "InferenceSession":
    """A session that reads its weights where they are: `add_external_initializers` and prepacking copy each.

    onnxruntime insists that the file with the weights exists. An empty one stands for it, so that an optimisation that
    would read weights from there, and not from `values`, fails; and no optimisation is made.
    """
    onnxruntime = import_onnxruntime()
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    changed = ModelProto()
    changed.CopyFrom(model)
    for tensor in changed.graph.initializer:
        if tensor.name in values:
            del tensor.external_data[:]
            tensor.external_data.add(key="location", value="empty")
            options.add_initializer(tensor.name, values[tensor.name])
    with scratch() as folder:
        (folder / "empty").touch()
        options.add_session_config_entry(_FOLDER_KEY, str(folder))
        return onnxruntime.InferenceSession(changed.SerializeToString(), options, providers=list(device.providers))


def _in_place(values: NDArray[Any]) -> "OrtValue":
    """The array as onnxruntime sees it, without a copy; a type that NumPy does not have itself goes by its number."""
    onnxruntime = import_onnxruntime()
    if values.dtype.isbuiltin == 1:
        return onnxruntime.OrtValue.ortvalue_from_numpy(values)
    kind = helper.np_dtype_to_tensor_dtype(values.dtype)
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(values, kind)


class Runner:
    """Runs a model on a device by I/O binding; only small results come back."""

    def __init__(
        self,
        model: ModelProto,
        folder: Path,
        device: Device,
        threads: int | None,
        weights: Mapping[str, NDArray[Any]] = _NONE,
        *,
        as_written: bool = False,
    ) -> None:
        self._weights = weights
        self._session = open_session(model, folder, device, threads, weights, as_written=as_written)
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Every output by its name.

        Raises:
            DeviceError: device-runtime.
        """
        binding = self._session.io_binding()
        try:
            for name, values in feeds.items():
                binding.bind_cpu_input(name, np.ascontiguousarray(values))
            for name in self._outputs:
                binding.bind_output(name)
            self._session.run_with_iobinding(binding)
            return dict(zip(self._outputs, binding.copy_outputs_to_cpu(), strict=True))
        except Exception as error:
            raise failed_run(error) from error


def failed_run(error: Exception) -> DeviceError:
    """The error of a session that fails while it runs."""
    return DeviceError(
        "device-runtime",
        "onnxruntime failed while it ran the model.",
        [Problem("onnxruntime", str(error).strip().splitlines()[0], "run the model by itself to see why")],
    )


def with_outputs(network: Network, names: Sequence[str], given: Container[str] = ()) -> ModelProto:
    """The network's model with the given tensors as its only outputs, and without weights among its inputs.

    Nodes and weights that these do not depend on are left out: the runtime gets nothing that onnxbound has not checked.

    Args:
        network: It.
        names: Of the tensors.
        given: Tensors that the caller hands in, and declares; what makes them is left out too.
    """
    source = network.model.graph
    producers = {name: node for node in source.node for name in node.output}
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in needed and name not in given:
            needed.add(name)
            waiting += producers[name].input if name in producers else ()
    nodes = [node for node in source.node if not needed.isdisjoint(node.output)]
    model = ModelProto(ir_version=network.model.ir_version, opset_import=network.model.opset_import)
    constants = {tensor.name for tensor in source.initializer}
    graph = model.graph
    graph.name = source.name
    graph.node.extend(nodes)
    graph.input.extend(value for value in source.input if value.name in needed - constants)
    graph.initializer.extend(tensor for tensor in source.initializer if tensor.name in needed)
    graph.sparse_initializer.extend(tensor for tensor in source.sparse_initializer if tensor.values.name in needed)
    # onnxruntime infers the type and shape of an output that states neither.
    graph.output.extend(ValueInfoProto(name=name) for name in dict.fromkeys(names))
    return model


def _explained(error: Exception, model: ModelProto) -> ModelError | DeviceError:
    text = str(error).strip().splitlines()[0]
    if "IR version" in text or "opset" in text.lower():
        return ModelError(
            "model-opset",
            f"The installed onnxruntime does not support a model of opset {default_opset(model)}, IR version"
            f" {model.ir_version}.",
            [Problem("onnxruntime", text, "install a newer onnxruntime, or convert the model to an older opset")],
        )
    return DeviceError(
        "device-runtime",
        "onnxruntime cannot load the model.",
        [Problem("onnxruntime", text, "check the model with the framework that wrote it")],
    )
