"""Reports of small nets, made once per test run."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.result import Analysis
from onnxbound.analysis.settings import Settings
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from tests.linear.test_measure import net
from tests.nets import mlp, random_mlp

ROWS = 40


def report_of(network: Network, settings: Settings, *, labels: np.ndarray | None = None, seed: int = 0) -> Analysis:
    """An analysis of normal rows, labelled as the net says unless labels are given."""
    random = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npz"
        x = random.normal(size=(ROWS, *network.input_shape)).astype(np.float32)
        if labels is None:
            from onnxbound.linear.linearisation import linearise

            found = linearise(network.cast(np.float32), x, {network.output}).values[network.output]
            labels = found.argmax(axis=1)
        np.savez(path, x=x, y=labels)
        return analyze(network, open_rows(path, network, Preprocessing()), settings)


@cache
def example(kind: str) -> Analysis:
    """Reports that between them have every kind of number and of null."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        if kind == "wrong labels":
            network = load(random_mlp(path, [5, 6, 4]))
            return report_of(network, Settings(probes=1), labels=np.zeros(ROWS, np.int64), seed=3)
        if kind == "never right":
            network = load(mlp(path, [(np.zeros((3, 4)), np.array([0.0, 1.0, 2.0]))]))
            return report_of(network, Settings(), labels=np.zeros(ROWS, np.int64))
        if kind == "dead":
            weights = np.random.default_rng(0).normal(size=(5, 4))
            head = np.random.default_rng(1).normal(size=(3, 5))
            network = load(mlp(path, [(weights, np.full(5, -1e6)), (head, np.array([1.0, 0.0, 0.0]))]))
            return report_of(network, Settings(probes="exact"))
        settings = {
            "chain": Settings(probes="exact", measured=None),
            "residual": Settings(probes=2, measured=25, zeta=0.1, form="linear"),
            "convolutional": Settings(probes=1, pairs="output"),
            "parallel": Settings(probes=3, gamma=0.01),
        }
        return report_of(load(net(path, kind).path), settings[kind])


KINDS = ("chain", "residual", "convolutional", "parallel", "wrong labels", "never right", "dead")
