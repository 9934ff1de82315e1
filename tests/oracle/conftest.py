from importlib.util import find_spec

# Doctests import every module here; without PyTorch only the stored arrays can be read.
collect_ignore = (
    []
    if find_spec("torch")
    else ["gate_ties.py", "lipschitz.py", "oracle.py", "torch_net.py", "torch_ops.py", "write_oracles.py"]
)
