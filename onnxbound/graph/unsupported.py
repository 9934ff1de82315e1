"""Operators that are refused by name, with the reason and the shortest way on."""

from collections.abc import Mapping

from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.graph.passes.spell_quantised import SPELLED
from onnxbound.operators.operator import Array, Unsupported
from onnxbound.operators.quantisation import AS_QDQ, FLOAT

_CONSTANT = "onnxbound reads it only if its scales and weights are constants, not computed from the rows"
_DYNAMIC = "it computes its scale from the whole batch, so the logits of a row depend on the other rows"
_INTEGER = "it multiplies integers whose scales come from other nodes, which is dynamic quantisation"
_PACKED = "its weights are packed in onnxruntime's own format"
_INSIDE = "it computes with integers by onnxruntime's own rules"
_STATIC = "quantise with onnxruntime.quantization.quantize_static, or " + FLOAT
_TREES = "trees are piecewise constant and have no weighted layers"

REFUSED: dict[str, tuple[str, str]] = {
    "DynamicQuantizeLinear": (_DYNAMIC, _STATIC),
    "com.microsoft::DynamicQuantizeMatMul": (_DYNAMIC, _STATIC),
    "com.microsoft::DynamicQuantizeLSTM": (_DYNAMIC, _STATIC),
    "ConvInteger": (_INTEGER, _STATIC),
    "MatMulInteger": (_INTEGER, _STATIC),
    "com.microsoft::MatMulIntegerToFloat": (_INTEGER, _STATIC),
    "com.microsoft::MatMulNBits": (_PACKED, AS_QDQ),
    "com.microsoft::MatMulBnb4": (_PACKED, AS_QDQ),
    "com.microsoft::MatMulFpQ4": (_PACKED, AS_QDQ),
    "com.microsoft::GatherBlockQuantized": (_PACKED, AS_QDQ),
    "com.microsoft::QAttention": (_INSIDE, AS_QDQ),
    "com.microsoft::QLinearReduceMean": (_INSIDE, AS_QDQ),
    "com.microsoft::QLinearWhere": (_INSIDE, AS_QDQ),
    **dict.fromkeys(sorted(SPELLED), (_CONSTANT, _STATIC)),
    "Erfc": (
        "ONNX has no such operator, so no runtime can run the file",
        "export gelu by its tanh formula",
    ),
    "If": ("the branch that is taken may depend on the row", "export the branch that inference takes"),
    "Loop": ("it repeats a graph", "export the model with the loop unrolled"),
    "Scan": ("it repeats a graph", "export the model with the loop unrolled"),
    "LSTM": ("onnxbound does not read recurrent layers", "use a feed-forward net"),
    "GRU": ("onnxbound does not read recurrent layers", "use a feed-forward net"),
    "RNN": ("onnxbound does not read recurrent layers", "use a feed-forward net"),
    "ai.onnx.ml::TreeEnsembleClassifier": (_TREES, "onnxbound reads neural networks"),
    "ai.onnx.ml::TreeEnsemble": (_TREES, "onnxbound reads neural networks"),
    "ai.onnx.ml::SVMClassifier": ("a kernel machine has no weighted layers", "a LinearSVC can be read"),
    "ai.onnx.ml::LinearClassifier": (
        "it has one row of coefficients for two classes, or a post_transform other than NONE, SOFTMAX and LOGISTIC",
        "export with one row of coefficients per class",
    ),
    "ai.onnx.ml::LinearRegressor": ("it is a regression", "onnxbound reads classifiers"),
}
"""ONNX operator to why it is refused, and what to do."""


def unknown(node: GraphNode, constants: Mapping[str, Array]) -> Unsupported:
    """Why a node whose operator has no parser is refused, and what to do."""
    op_type = node.op_type
    if op_type == "Dropout":
        known = node.inputs[2] in constants
        why = "it is in training mode" if known else f"{node.inputs[2]!r} says whether it is in training mode"
        do = "export the model for inference, in PyTorch after model.eval()" if known else "`fixed` holds an input"
        return Unsupported(why, do)
    if op_type in ("ArgMax", "TopK"):
        why = "it chooses a class, and the nodes behind it do not turn that into the name of a class"
        return Unsupported(why, f'`logits="{node.inputs[0]}"` reads the scores that it chooses by')
    if op_type.startswith(("com.microsoft", "com.ms")) and op_type not in REFUSED:
        return Unsupported(
            "it is an operator of onnxruntime's own; its offline optimisation writes such operators",
            "export again, or save the model before onnxruntime optimises it",
        )
    return Unsupported(*REFUSED.get(op_type, ("onnxbound does not know this operator", "")))
