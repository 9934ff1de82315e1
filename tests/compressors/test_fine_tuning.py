"""Fine-tuning of rounded networks."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxbound.compressors.calibrated import Rounded
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.fine_tuning import FineTuning, of_sites
from onnxbound.compressors.grid import Grid
from onnxbound.compressors.rounder import Rounder
from onnxbound.data.open import open_rows
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.gradient import parameters
from onnxbound.run.device import CPU
from onnxbound.run.logits import Logits
from onnxbound.verbs.compress import compress
from tests.compressors.test_smallest import rows_of
from tests.compressors.test_written import grouped_and_channels_last, sequences, shared_weight
from tests.nets import random_mlp


def noise(network: Network, count: int, seed: int = 0) -> Rows:
    inputs = np.random.default_rng(seed).normal(size=(count, *network.input_shape)).astype(np.float32)
    return open_rows((inputs, np.arange(count) % network.classes), network)


@pytest.mark.parametrize("build", [grouped_and_channels_last, sequences, shared_weight])
def test_slopes_of_the_file_are_the_adjoint_of_what_it_stands_for(build, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """<slopes, what a change of the file changes> = <slopes of the file, its change>, for any change and slopes."""
    network = load(build(tmp_path / "net.onnx"))
    rounder = Rounder(network, (), noise(network, 20), CPU, 1, 0)
    random = np.random.default_rng(1)

    def with_levels(size: int) -> tuple[dict[int, Rounded], np.ndarray]:
        levels = {i: random.integers(-size, size + 1, site.matrix.shape) for i, site in rounder.sites.items()}
        found = {
            i: Rounded(
                Grid(levels[i], np.ones((len(levels[i]), 1), np.float32), 8),
                rounder.sites[i].offset + (size * random.normal(size=len(levels[i])) if rounder.sites[i].bias else 0),
            )
            for i in rounder.sites
        }
        return found, parameters(rounder.described(found).numpy())

    (start, before), (moved, after) = with_levels(0), with_levels(5)
    slopes = random.normal(size=before.size)
    inner = 0.0
    for index, (weight, bias) in of_sites(rounder, slopes).items():
        inner += float(np.vdot(weight, moved[index].grid.matrix() - start[index].grid.matrix()))
        inner += float(bias @ (moved[index].offset - start[index].offset)) if bias.size else 0.0
    assert inner == pytest.approx(float(slopes @ (after - before)), rel=1e-9)
    assert build is shared_weight or any(bias.size for _, bias in of_sites(rounder, slopes).values())


@pytest.fixture(scope="module")
def rough(tmp_path_factory: pytest.TempPathFactory) -> tuple[Rounder, Rows, Rows]:
    """A net of three layers, and its own decisions as labels."""
    path = random_mlp(tmp_path_factory.mktemp("rough") / "net.onnx", [12, 60, 40, 4])
    network = load(path)
    rows = open_rows(rows_of(path, 9000, 0), network)
    unseen = open_rows(rows_of(path, 5000, 0, seed=1), network)
    return Rounder(network, (), rows.sample(1000, 0), CPU, 1, 0), rows, unseen


def tuned(rough: tuple[Rounder, Rows, Rows], width: int, threads: int = 1, block: int = 0) -> CompressedNetwork:
    rounder, rows, _ = rough
    fine = FineTuning(Logits(rounder.network, CPU, threads), rows, CPU, threads, 0)
    found = fine.tuned(rounder, dict.fromkeys(rounder.sites, width), block)
    assert found is not None
    assert found.fine_tuned
    return found


def errors(compressed: CompressedNetwork, rows: Rows) -> int:
    from onnxbound.compressors.compressed import predict

    batch = rows.batch(rows.index)
    return int(np.sum(predict(compressed, batch.inputs).argmax(axis=1) != batch.labels))


@pytest.mark.parametrize("block", [0, 16])
def test_fewer_errors_on_rows_that_it_has_not_seen(rough: tuple[Rounder, Rows, Rows], block: int) -> None:
    """At 2 bits, where rounding alone changes many decisions."""
    rounder, _, unseen = rough
    plain = rounder.everywhere(2, block)
    assert not plain.fine_tuned
    before, after = errors(plain, unseen), errors(tuned(rough, 2, block=block), unseen)
    assert after < 0.9 * before


def test_nothing_but_levels_and_biases_moves(rough: tuple[Rounder, Rows, Rows]) -> None:
    """So the file takes as many bytes as before."""
    plain, found = rough[0].everywhere(4), tuned(rough, 4)
    assert found.bits == plain.bits
    moved = 0
    for name, weight in found.weights.items():
        old, new = plain.weights[name].code, weight.code
        assert isinstance(old, Grid)
        assert isinstance(new, Grid)
        np.testing.assert_array_equal(old.scales, new.scales)
        assert np.abs(new.levels).max() <= 7
        moved += int(np.sum(old.levels != new.levels))
    assert moved > 0


def test_threads_change_no_bit(rough: tuple[Rounder, Rows, Rows]) -> None:
    one, two = tuned(rough, 4), tuned(rough, 4, threads=2)
    for name, weight in one.weights.items():
        np.testing.assert_array_equal(weight.weight, two.weights[name].weight)


def test_few_rows_and_spent_work_tune_nothing(rough: tuple[Rounder, Rows, Rows]) -> None:
    """From few rows it would learn what holds for them alone; large nets would take too long."""
    rounder, rows, _ = rough
    plan = dict.fromkeys(rounder.sites, 4)
    few = FineTuning(Logits(rounder.network, CPU, 1), rows.sample(900, 0), CPU, 1, 0)
    assert few.tuned(rounder, plan) is None
    fine = FineTuning(Logits(rounder.network, CPU, 1), rows, CPU, 1, 0)
    fine._work = 3000 * rounder.network.multiply_adds
    assert fine.tuned(rounder, plan) is None


def test_a_request_for_it_is_met_or_refused(tmp_path: Path) -> None:
    """Where labels are those of a similar net, it learns from them."""
    from onnxbound.compressors.method import Method
    from onnxbound.compressors.request import Request

    path = random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])
    model, random = onnx.load(path), np.random.default_rng(5)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        noisy = values + 0.3 * values.std() * random.normal(size=values.shape)
        tensor.CopyFrom(numpy_helper.from_array(noisy.astype(np.float32), tensor.name))
    onnx.save(model, tmp_path / "teacher.onnx")
    rows = open_rows(rows_of(tmp_path / "teacher.onnx", 9000, 0), load(path))
    asked = Request(Method("int4-weights", fine_tune=True))
    found = compress(path, rows, tmp_path / "small.onnx", asked, progress=False)
    assert found.fine_tuned
    assert "int4-weights, fine-tuned" in str(found.view())
    plain = compress(path, rows, tmp_path / "plain.onnx", Request(Method("int4-weights")), progress=False)
    assert found.guarantee is not None
    assert plain.guarantee is not None
    assert found.guarantee.measured.drop < plain.guarantee.measured.drop
    with pytest.raises(UsageError, match="cannot be fine-tuned"):
        compress(path, rows.sample(1000, 0), tmp_path / "other.onnx", asked, progress=False)
    with pytest.raises(UsageError, match="fine_tune=True"):
        Request(Method("fp16", fine_tune=True))
