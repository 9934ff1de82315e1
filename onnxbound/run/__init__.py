"""onnxruntime: sessions, devices, forward passes over all rows, and the environment they run in."""
