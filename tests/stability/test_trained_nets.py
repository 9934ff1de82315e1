"""The trends of [A] Fig. 2 and 3 on the committed nets: what holds, and where it does not."""

from functools import cache

import numpy as np
import pytest

from onnxbound.graph.load import load
from onnxbound.results import Float64Array
from onnxbound.run.device import CPU
from onnxbound.run.forward_norms import ForwardPass
from tests.oracle.models import fixtures
from tests.stability.properties import arrays_of

FIXTURES = {model.name: model for model in fixtures()}


@cache
def median_cushions(name: str, form: str) -> Float64Array:
    """Median over the training set of the layer cushion of each layer, (d,)."""
    network = load(FIXTURES[name].path)
    x, _ = FIXTURES[name].rows(np.arange(600))
    norms = ForwardPass(network, CPU, None, without_bias=form == "linear").run(x)
    return np.asarray(np.median(arrays_of(network, norms)["layer_cushion"], axis=0))


@pytest.mark.parametrize("form", ["affine", "linear"])
def test_cushions_are_larger_on_true_labels_than_on_shuffled_ones(form: str) -> None:
    assert np.all(median_cushions("cifar10_cnn", form) > 1.1 * median_cushions("cifar10_cnn_shuffled", form))


def test_training_raises_every_cushion_in_the_linear_form() -> None:
    assert np.all(median_cushions("cifar10_cnn", "linear") > 1.1 * median_cushions("cifar10_cnn_init", "linear"))


def test_training_raises_every_cushion_but_the_third_in_the_affine_form() -> None:
    """The trained BatchNorm takes the mean out of x^3 and shortens it; the untrained one, mean 0, takes nothing out."""
    trained, untrained = median_cushions("cifar10_cnn", "affine"), median_cushions("cifar10_cnn_init", "affine")
    assert (trained > untrained).tolist() == [True, True, False, True]
    assert 0.98 < trained[2] / untrained[2] < 1
