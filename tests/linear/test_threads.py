"""Batches in parts: the same numbers for any number of threads, in the order of the rows."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import fields
from threading import Thread, main_thread
from typing import Any, NoReturn

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from onnxbound.graph.load import load
from onnxbound.linear import engine
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.programme import Measurement, Share
from onnxbound.linear.threads import in_parts, part_rows
from tests.linear.test_engine import programme, require_agreement
from tests.oracle.models import fixtures

(MODEL,) = (model for model in fixtures() if model.name == "cifar10_cnn")


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    network = load(MODEL.path)
    return np.random.default_rng(0).normal(size=(37, *network.input_shape)).astype(np.float32)


def equal(one: Measurement, two: Measurement) -> bool:
    return all(
        np.array_equal(getattr(one, field.name), getattr(two, field.name), equal_nan=True)
        for field in fields(Measurement)
        if field.name not in {"ties", "index"}
    )


def test_results_do_not_depend_on_threads(rows: np.ndarray) -> None:
    network, wanted, index = load(MODEL.path), programme("affine"), np.arange(100, 137)
    assert part_rows(network) == 16
    one, two, three = (NumpyEngine(network, wanted, threads).measure(index, rows) for threads in (1, 2, 3))
    assert equal(one, two)
    assert equal(two, three)


@pytest.mark.parametrize("share", [None, Share(1, 2)])
@pytest.mark.parametrize("form", ["affine", "linear"])
def test_sweeps_side_by_side_are_one_sweep(
    rows: np.ndarray, form: Any, share: Share | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few rows of a large net are no parts of a batch; there the threads share out where noise starts."""
    monkeypatch.setattr(engine, "_DEALT_ENTRIES", 0)
    network, wanted, index = load(MODEL.path), programme(form), np.arange(3)
    one, two, many = (NumpyEngine(network, wanted, threads, share).measure(index, rows[:3]) for threads in (1, 2, 9))
    assert equal(one, two)
    assert equal(two, many)


def test_parts_are_the_whole(rows: np.ndarray) -> None:
    network, wanted, index = load(MODEL.path), programme("linear"), np.arange(100, 137)
    ours = NumpyEngine(network, wanted, 2)
    alone = [ours.measure(index[n : n + 1], rows[n : n + 1]) for n in range(len(index))]
    require_agreement(ours.measure(index, rows), Measurement.merge(alone))


def test_small_nets_stay_whole() -> None:
    mlp = load(next(model.path for model in fixtures() if model.name == "mnist_mlp"))
    assert part_rows(mlp) > 64


def test_blas_has_one_thread_within_parts_only(rows: np.ndarray) -> None:
    def threads() -> set[int]:
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    network, index, seen = load(MODEL.path), np.arange(37), []
    ours = NumpyEngine(network, programme("affine"))

    def run(part: slice) -> Measurement:
        seen.append(threads())
        return ours.measure(index[part], rows[part])

    before = threads()
    in_parts(run, 37, 16, 2)
    assert seen == [{1}] * 3
    seen.clear()
    in_parts(run, 16, 64, 2)
    assert seen == [before]
    assert threads() == before


@pytest.fixture
def _heeded() -> Iterator[None]:
    """A job in the background of a shell ignores SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT to send")
@pytest.mark.usefixtures("_heeded")
def test_an_interrupt_ends_the_parts() -> None:
    """Ctrl-C reaches the main thread only."""
    begun, ended = [], []

    def run(part: slice) -> NoReturn:
        try:
            begun.append(part.start)
            while True:
                time.sleep(0.01)
        finally:
            ended.append(part.start)

    def interrupt() -> None:
        while len(begun) < 2:
            time.sleep(0.01)
        signal.pthread_kill(main_thread().ident, signal.SIGINT)

    thread = Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        in_parts(run, 8, 2, 2)
    thread.join()
    # An interrupt while the pool starts a thread leaves one that the pool does not know and so does not wait for.
    deadline = time.monotonic() + 60
    while len(ended) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert sorted(ended) == [0, 2]
