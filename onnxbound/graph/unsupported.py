"""Operators that are refused by name, with the reason and the shortest way on."""

from onnxbound.operators.operator import Unsupported

_QUANTISED = "it rounds to integers, so the net is a staircase whose derivative is zero almost everywhere"
_FLOAT = "analyse the float model that was quantised"
_TREES = "trees are piecewise constant and have no weighted layers"

REFUSED: dict[str, tuple[str, str]] = {
    "QuantizeLinear": (_QUANTISED, _FLOAT),
    "DequantizeLinear": (_QUANTISED, _FLOAT),
    "DynamicQuantizeLinear": (_QUANTISED, _FLOAT),
    "QLinearConv": (_QUANTISED, _FLOAT),
    "QLinearMatMul": (_QUANTISED, _FLOAT),
    "ConvInteger": (_QUANTISED, _FLOAT),
    "MatMulInteger": (_QUANTISED, _FLOAT),
    "Erfc": (
        "ONNX has no such operator, so no runtime takes the file",
        "export gelu by its tanh formula",
    ),
    "If": ("the branch that is taken may depend on the row", "export the branch that inference takes"),
    "Loop": ("it repeats a graph", "export the model with the loop unrolled"),
    "Scan": ("it repeats a graph", "export the model with the loop unrolled"),
    "LSTM": ("recurrent layers are not read", "onnxbound reads feed-forward nets"),
    "GRU": ("recurrent layers are not read", "onnxbound reads feed-forward nets"),
    "RNN": ("recurrent layers are not read", "onnxbound reads feed-forward nets"),
    "ai.onnx.ml::TreeEnsembleClassifier": (_TREES, "onnxbound reads nets"),
    "ai.onnx.ml::TreeEnsemble": (_TREES, "onnxbound reads nets"),
    "ai.onnx.ml::SVMClassifier": ("a kernel machine has no weighted layers", "a LinearSVC can be read"),
    "ai.onnx.ml::LinearClassifier": (
        "it has one row of coefficients for two classes, or a post_transform other than NONE, SOFTMAX and LOGISTIC",
        "export with one row of coefficients per class",
    ),
    "ai.onnx.ml::LinearRegressor": ("it is a regression", "onnxbound reads classifiers"),
}
"""ONNX operator to why it is refused, and what to do."""


def unknown(op_type: str) -> Unsupported:
    """The verdict on an operator that has no parser."""
    if op_type.startswith(("com.microsoft", "com.ms")):
        return Unsupported(
            "it is an operator of onnxruntime's own, which offline optimisation writes",
            "export again, or save the model before onnxruntime optimises it",
        )
    return Unsupported(*REFUSED.get(op_type, ("onnxbound does not know this operator", "")))
