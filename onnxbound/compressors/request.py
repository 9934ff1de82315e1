"""What a compression is asked for, and what is refused before anything is computed."""

from dataclasses import dataclass, field

import numpy as np

from onnxbound.compressors.budget import KNOBS, Budget
from onnxbound.compressors.method import Method
from onnxbound.errors import ModelError, Problem, UsageError
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.graph.rewrite import Rewriter
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.results import Float64Array


@dataclass(frozen=True, slots=True)
class Request:
    """The settings of `compress`: how, how far, and which layers.

    Attributes:
        method: The format or the algorithm.
        budget: How far an algorithm compresses. It is None with a format, and if `max_drop` is given.
        max_drop: Largest drop in accuracy, as a share of the rows. For "smallest" and "fastest", None means 0.005. An
            algorithm takes it in place of a budget.
        layers: Names of the layers to compress; all if empty.
        factorise: With svd, whether to write a layer as two layers where that saves multiply-adds.
        sweep: Whether to try other budgets too, and show which of them keep the accuracy.
        gamma: The margin of losses and bounds; None for a quantile of the margins.
        gamma_quantile: The quantile to use if `gamma` is None.
        delta: Largest probability that a bound is false.
        bounds: Whether to analyse the original network too, and bound the error of the compressed one.
        measured: Number of rows on which cushions and the errors of layers are measured.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Number of threads; None for all cores.

    >>> from onnxbound import Method, Request
    >>> Request(Method("svd"), max_drop=0.01).max_drop
    0.01
    """

    method: Method = field(default_factory=Method)
    budget: Budget | None = None
    max_drop: float | None = None
    layers: tuple[str, ...] = ()
    factorise: bool = False
    sweep: bool = False
    gamma: float | None = None
    gamma_quantile: float = 0.05
    delta: float = 0.05
    bounds: bool = False
    measured: int = 100
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.stores:
            searched = self.method.name in ("smallest", "fastest")
            if self.budget is not None or (not searched and self.max_drop is not None):
                taken = "`max_drop` alone" if searched else "no budget"
                raise UsageError("usage", f'`method="{self.method.name}"` takes {taken}.')
        elif (self.budget is None) == (self.max_drop is None):
            raise UsageError("usage", f"compress takes one budget: {_knobs(self.method.name)}.")
        if self.budget is not None:
            _check_budget(self.method.name, self.budget)
        checks = {
            "`max_drop` must be at least 0 and less than 1": self.max_drop is None or 0 <= self.max_drop < 1,
            "`eta` must lie between 0 and 1": 0 < self.method.eta < 1,
            "`width` must be 2 to 32 bits": self.method.width is None or 2 <= self.method.width <= 32,
            '`block` must be positive, and goes with `method="int4-weights"`': self.method.block == 0
            or (self.method.block > 0 and self.method.name == "int4-weights"),
            '`fine_tune=True` goes with `method="int8-weights"` and int4-weights': not self.method.fine_tune
            or self.method.name in ("int8-weights", "int4-weights"),
            "`seed` must lie between 0 and 2^64 - 1": 0 <= self.method.seed < 2**64,
            "`gamma` must be a positive number": self.gamma is None or 0 < self.gamma < np.inf,
            "`gamma_quantile` must lie between 0 and 1": 0 < self.gamma_quantile < 1,
            "`delta` must lie between 0 and 1": 0 < self.delta < 1,
            "`measured` must be at least 1": self.measured >= 1,
            '`factorise=True` goes with `method="svd"`': not self.factorise or self.method.name == "svd",
        }
        for complaint, holds in checks.items():
            if not holds:
                raise UsageError("usage", f"{complaint}.")

    @property
    def tolerated_drop(self) -> float:
        """The share of the rows by which accuracy may fall."""
        return 0.005 if self.max_drop is None else self.max_drop

    @property
    def analyses(self) -> bool:
        """Whether something is asked for that the original has to be analysed for."""
        return self.bounds or (self.budget is not None and self.budget.knob == "gamma")

    @property
    def fused(self) -> bool:
        """Whether nets run as onnxruntime runs them by default, with integers where activations are rounded to them."""
        return self.method.name in ("fastest", "int8")

    @property
    def factorises(self) -> bool:
        """Whether layers of low rank are written as two where that takes fewer multiply-adds."""
        return self.factorise or self.method.name == "fastest"

    @property
    def stores(self) -> bool:
        """Whether weights are stored in another format, and no algorithm is applied at a budget."""
        return not KNOBS[self.method.name]


def _knobs(method: str) -> str:
    return " or ".join(f"`{knob}`" for knob in KNOBS[method]) + " or `max_drop`"


def _check_budget(method: str, budget: Budget) -> None:
    knob, value = budget.knob, budget.value
    if knob not in KNOBS[method]:
        raise UsageError("usage", f'`method="{method}"` takes {_knobs(method)}, not `{knob}`.')
    ranges: dict[str, tuple[bool, str]] = {
        "epsilon": (0 < value <= 1, "a number above 0 and at most 1"),
        "cut": (0 < value <= 1, "a number above 0 and at most 1"),
        "energy": (0 < value <= 1, "a number above 0 and at most 1"),
        "keep": (0 < value <= 1, "a share above 0 and at most 100%"),
        "k": (value >= 1 and value == int(value), "a number of at least 1"),
        "rank": (value >= 1 and value == int(value), "a number of at least 1"),
        "bits": (2 <= value <= 24 and value == int(value), "a number from 2 to 24"),
        "gamma": (0 < value < np.inf, "a positive number"),
    }
    fine, wanted = ranges[knob]
    if not fine:
        raise UsageError("usage", f"`{knob}` must be {wanted}, not {value:g}.")


def compressible(network: Network, request: Request) -> list[Layer]:
    """The layers that were chosen and that the method can compress.

    Raises:
        UsageError: compress-layer, there is no layer of a name; compress-method, the method is for other nets.
        ModelError: compress-nothing, no chosen layer has a weight that could be replaced.
    """
    layers = _named(network, request.layers)
    method = request.method.name
    if method.startswith("vector"):
        only = network.layers[0].operator
        if network.depth != 1 or not isinstance(only, Dense):
            why = f"this net is a {network.topology} of {network.depth} weighted layers"
            problem = Problem(str(network.path), why, "use matrix-project, svd or quantise")
            raise UsageError(
                "compress-method", f"{method} compresses linear classifiers, of one dense layer.", [problem]
            )
    if method == "matrix-project-conv" and not any(isinstance(layer.operator, Conv) for layer in layers):
        problem = Problem(str(network.path), "none of its layers is one", "use matrix-project, svd or quantise")
        raise UsageError("compress-method", f"{method} compresses convolutions.", [problem])
    rewriter = Rewriter(network)
    found = [layer for layer in layers if rewriter.can_rewrite(layer)]
    if not found:
        problems = [
            Problem(
                layer.step.where,
                "its weight is no tensor of floats in the file: integers stay",
                "export it with floats",
            )
            for layer in layers
        ]
        raise ModelError("compress-nothing", "The model has no weight that could be compressed.", problems)
    return found


def _named(network: Network, names: tuple[str, ...]) -> list[Layer]:
    if not names:
        return list(network.layers)
    by_name = {layer.name: layer for layer in network.layers}
    known = ", ".join(by_name)
    problems = [Problem(name, "no weighted layer has this name", f"its layers: {known}") for name in names]
    problems = [problem for problem in problems if problem.where not in by_name]
    if problems:
        raise UsageError("compress-layer", f"{network.path} has no layer {problems[0].where!r}.", problems)
    return [by_name[name] for name in names]


def origins_of(network: Network, init: Network | None) -> dict[int, Float64Array] | None:
    """Layer index to the weight of the initialisation, scales that are folded in included.

    Raises:
        UsageError: compress-init, its layers are not those of the network.
    """
    if init is None:
        return None
    shapes = [[layer.operator.weight.shape for layer in net.layers] for net in (network, init)]
    if shapes[0] != shapes[1]:
        said = [", ".join("x".join(map(str, shape)) for shape in each) for each in shapes]
        problem = Problem(str(init.path), f"its layers are {said[1]}", f"the model's layers are {said[0]}")
        raise UsageError("compress-init", f"{init.path} has another architecture than {network.path}.", [problem])
    return {layer.index: layer.operator.effective_weight() for layer in init.layers}
