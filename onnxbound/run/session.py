"""The one place that makes onnxruntime sessions."""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto, ValueInfoProto

from onnxbound.errors import DeviceError, ModelError, Problem
from onnxbound.graph.model_file import default_opset
from onnxbound.graph.network import Network
from onnxbound.run.device import Device

_FOLDER_KEY = "session.model_external_initializers_file_folder_path"


def open_session(model: ModelProto, folder: Path, device: Device, threads: int | None) -> onnxruntime.InferenceSession:
    """A session for a model whose external data, if any, lies in `folder`.

    Args:
        model: Complete but for external data.
        folder: The folder of the file it came from.
        device: Where to run.
        threads: Threads within an operator; None for all cores.

    Raises:
        ModelError: model-opset, the runtime does not take this operator set or format version.
        DeviceError: device-runtime, or device-unavailable where the provider was refused in the end.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False  # an arena keeps the most it ever took; memory counts here
    options.intra_op_num_threads = threads or 0
    options.add_session_config_entry(_FOLDER_KEY, str(folder.resolve()))
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=list(device.providers))
    except Exception as error:
        raise _explained(error, model) from error
    _return_freed_memory()
    wanted = device.providers[0][0]
    if wanted not in session.get_providers():
        raise DeviceError(
            "device-unavailable",
            f"onnxruntime left {wanted} out and would run on {', '.join(session.get_providers())}.",
            [Problem("onnxruntime", "the provider was refused", "use --device cpu, or see 'onnxbound env'")],
        )
    return session


def _return_freed_memory() -> None:
    """What building a session took and freed is several times its weights, and glibc keeps it; others give it back."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


class Runner:
    """Runs a model that computes on a device and gives small results back, by I/O binding."""

    def __init__(self, model: ModelProto, folder: Path, device: Device, threads: int | None) -> None:
        self._session = open_session(model, folder, device, threads)
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
    """What onnxruntime says when it fails in the middle."""
    return DeviceError(
        "device-runtime",
        "onnxruntime failed while it ran the model.",
        [Problem("onnxruntime", str(error).strip().splitlines()[0], "run the model by itself to see why")],
    )


def with_outputs(network: Network, names: Sequence[str]) -> ModelProto:
    """The network's model with the given tensors as its only outputs, and weights no longer listed as inputs."""
    model = ModelProto()
    model.CopyFrom(network.model)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:], model.graph.output[:]
    model.graph.input.extend(inputs)
    # onnxruntime infers the type and shape of an output that states neither.
    model.graph.output.extend(ValueInfoProto(name=name) for name in dict.fromkeys(names))
    return model


def _explained(error: Exception, model: ModelProto) -> ModelError | DeviceError:
    text = str(error).strip().splitlines()[0]
    if "IR version" in text or "opset" in text.lower():
        return ModelError(
            "model-opset",
            f"The installed onnxruntime does not take a model of opset {default_opset(model)}, IR version"
            f" {model.ir_version}.",
            [Problem("onnxruntime", text, "install a newer onnxruntime, or convert the model to an older opset")],
        )
    return DeviceError(
        "device-runtime",
        "onnxruntime cannot load the model.",
        [Problem("onnxruntime", text, "check the model with the framework that wrote it")],
    )
