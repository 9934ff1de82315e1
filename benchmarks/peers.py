"""What other tools make of a net: onnxruntime's quantisers, and the searches of onnxsim 0.8."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from onnxbound.graph.network import Network
from onnxbound.graph.newer_opset import raised

CALIBRATED = 200
"""Rows that each is calibrated at."""

_PER_CHANNEL, _FOUR_BITS = 13, 21
"""The oldest opset in which weights have a scale per channel, and 4 bits."""

_BUDGETS = (0.02, 0.1)
"""Relative errors of the outputs that onnxsim's searches may make: their two defaults."""

Write = Callable[[Path], object]


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Rows for onnxruntime's calibration."""

    def __init__(self, batches: list[dict[str, NDArray[np.float32]]]) -> None:
        self._parts: Iterator[dict[str, NDArray[np.float32]]] = iter(batches)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """A batch, or None behind the last."""
        return next(self._parts, None)


def of_onnxruntime(network: Network, rows: NDArray[np.float32], folder: Path) -> dict[str, Write]:
    """Each of onnxruntime's formats, with the function that writes it."""
    source, prepared = folder / "source.onnx", folder / "prepared.onnx"
    source.write_bytes(raised(onnx.load(network.path), _PER_CHANNEL).SerializeToString())
    try:
        quant_pre_process(str(source), str(prepared))
    except Exception:  # noqa: BLE001 - its shape inference does not know every net; then the net itself is quantised
        prepared = source

    def static(out: Path) -> None:
        types = {"quant_format": QuantFormat.QDQ, "weight_type": QuantType.QInt8}
        quantize_static(str(prepared), str(out), Reader(batches(network, rows)), per_channel=True, **types)

    def four_bits(out: Path) -> None:
        quantiser = MatMulNBitsQuantizer(onnx.load(source), bits=4, block_size=32, is_symmetric=True)
        quantiser.process()
        if not any(node.op_type == "MatMulNBits" for node in quantiser.model.model.graph.node):
            raise ValueError("no MatMul")
        quantiser.model.save_model_to_file(str(out))

    return {
        "static int8": static,
        "dynamic int8": lambda out: quantize_dynamic(
            str(prepared), str(out), per_channel=True, weight_type=QuantType.QInt8
        ),
        "fp16": lambda out: onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), out),
        "MatMulNBits": four_bits,
    }


def of_onnxsim(network: Network, rows: NDArray[np.float32]) -> dict[str, Write]:
    """onnxsim's searches, each with every budget, GPTQ, and its pipeline with pruning."""
    from onnxsim import (
        apply_gptq,
        apply_optimization_pipeline,
        auto_quantize_int4,
        quantize_weight_only_int4,
        recommend_quantization,
        search_mixed_precision_for_budget,
    )

    model = raised(onnx.load(network.path), _FOUR_BITS)
    given: dict[str, Any] = {"calibration_data": batches(network, rows)}
    made: dict[str, Callable[[], ModelProto]] = {
        "GPTQ": lambda: apply_gptq(model, quantize_weight_only_int4(model), **given),
        "auto int4": lambda: auto_quantize_int4(model, **given).quantized_model,
    }
    for budget in _BUDGETS:
        made |= {
            f"recommended at {budget}": lambda b=budget: recommend_quantization(model, b, **given).quantized_model,
            f"mixed at {budget}": lambda b=budget: search_mixed_precision_for_budget(model, b, **given).quantized_model,
        }
    for share in (None, 0.25):
        made[f"pipeline, {share or 0:.0%} pruned"] = lambda s=share: (
            apply_optimization_pipeline(
                model, sparsity=s, pruning_method="wanda", bit_selection="mixed_precision", **given
            ).optimized_model
        )

    def written(make: Callable[[], ModelProto]) -> Write:
        return lambda out: out.write_bytes(make().SerializeToString())

    return {name: written(make) for name, make in made.items()}


def batches(network: Network, rows: NDArray[np.float32]) -> list[dict[str, NDArray[np.float32]]]:
    """Rows to calibrate at, as sessions take them."""
    size = network.batch or 50
    return [{network.input: rows[start : start + size]} for start in range(0, min(CALIBRATED, len(rows)), size)]


def strip(path: Path) -> None:
    """Take nodes and constants that nothing reads out of a file, and shapes that can be inferred."""
    model = onnx.load(path)
    graph = model.graph
    outputs = {value.name for value in graph.output}
    while True:
        read = {name for node in graph.node for name in node.input} | outputs
        idle = [node for node in graph.node if read.isdisjoint(node.output)]
        for node in idle:
            graph.node.remove(node)
        if not idle:
            break
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
    del graph.value_info[:]
    path.write_bytes(model.SerializeToString())
