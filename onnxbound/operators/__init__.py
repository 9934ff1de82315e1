"""What each ONNX operator is: how it is parsed, how it acts, how its linearisation and the transpose of that act.

Tensors keep ONNX's logical axis order, batch first and channels second, whatever their order in memory. Convolutions
and pooling lay their results out channels last in memory and hand out a transposed view, and element-wise operators
keep the layout they find, so images stay channels last through a whole net without any operator knowing about it.
"""
