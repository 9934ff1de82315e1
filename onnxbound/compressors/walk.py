"""A network that is run from layer to layer, and stops where its weights are changed from there on."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from onnx import ModelProto, ValueInfoProto, helper, numpy_helper

from onnxbound.compressors.sites import Site
from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.free_batch import free_batch
from onnxbound.graph.network import Network
from onnxbound.operators.operator import Array
from onnxbound.run.batched import Batched, rows_at_once
from onnxbound.run.device import Device
from onnxbound.run.session import failed_run, open_session, with_outputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_KEPT = 1 << 29
"""Bytes of tensors that are kept at a stop, for all rows; with more, the next part begins at an earlier one."""

State = Mapping[str, Array]
Part: TypeAlias = "InferenceSession | None"


class Walk:
    """Some rows on their way through a network whose weights change meanwhile, every node once a walk.

    Between two stops lies a part of the graph, with a session of its own. Behind it, of what it and those before it
    computed, is kept what later ones read.
    """

    def __init__(
        self,
        network: Network,
        found: Mapping[int, Site],
        stops: Mapping[int, str],
        rows: Array,
        device: Device,
        threads: int | None,
    ) -> None:
        """Get ready.

        Args:
            network: It.
            found: Sites whose weights may change.
            stops: Key to the tensor that is looked at there, in the order of the walk.
            rows: (n, *input_shape).
            device: Where the network runs.
            threads: Threads; None for all cores.
        """
        self._network, self._device, self._threads = network, device, threads
        self._own: dict[str, Array] = {}
        for site in found.values():
            self._own |= site.fed(site.matrix, site.offset)
        self._stops, self._places = list(stops.values()), {key: place for place, key in enumerate(stops)}
        self._parts, self._kept = _parts(network, self._stops, set(self._own))
        size = self._rows_at_once(rows)
        self._batches = [rows[start : start + size] for start in range(0, len(rows), size)]
        self._size = network.batch or 1
        self.begin()

    def begin(self) -> None:
        """Go back to the rows."""
        self._place = 0
        self._states: list[State] = [{self._network.input: filled(rows, self._size)} for rows in self._batches]

    def to(self, key: int, weights: Mapping[str, Array]) -> Iterator[Array]:
        """Go on to a stop; the tensor there, batch by batch.

        Args:
            key: Of the stop, which does not lie before the last one.
            weights: In place of the network's own.
        """
        place, fed = self._places[key], self._own | dict(weights)
        parts: list[Part] = []
        keeps = True
        for number, rows in enumerate(self._batches):
            state = self._states[number]
            for part in range(self._place, place + 1):
                if number == 0:
                    parts.append(self._open(part, state, fed))
                state = self._behind(part, state, parts[part - self._place])
            if number == 0:
                keeps = len(self._batches) * sum(values.nbytes for values in state.values()) <= _KEPT
            if keeps:
                self._states[number] = state
            yield state[self._stops[place]][: len(rows)]
        if keeps:
            self._place = place + 1

    def _behind(self, part: int, state: State, session: "Part") -> State:
        """What is kept behind a part."""
        found: dict[str, Array] = {}
        if session is not None:
            names = [value.name for value in session.get_outputs()]
            try:
                results = session.run(names, {value.name: state[value.name] for value in session.get_inputs()})
            except Exception as error:
                raise failed_run(error) from error
            found = dict(zip(names, results, strict=True))
        return {name: found[name] if name in found else state[name] for name in self._kept[part]}

    def _open(self, part: int, state: State, weights: Mapping[str, Array]) -> "Part":
        """A session for a part, its weights constants in it, since kernels are slow at weights that may change."""
        if not self._parts[part].graph.node:
            return None
        model = ModelProto()
        model.CopyFrom(self._parts[part])
        computed = {name for node in model.graph.node for name in node.output}
        read = dict.fromkeys(name for node in model.graph.node for name in node.input if name not in computed)
        for name in read:
            if name in state:
                kind = helper.np_dtype_to_tensor_dtype(state[name].dtype)
                value = helper.make_tensor_value_info(name, kind, [None] * state[name].ndim)
                model.graph.input.append(value)
            elif name in weights:
                model.graph.initializer.append(numpy_helper.from_array(weights[name], name))
        return self._opened(model)

    def _opened(self, model: ModelProto) -> "InferenceSession":
        network = self._network
        return open_session(model, network.path.parent, self._device, self._threads, network.external)

    def _rows_at_once(self, rows: Array) -> int:
        """How many; more than the file fixes where rows stay apart."""
        network = self._network
        if network.batch is None:
            return rows_at_once(network)
        whole = Batched(network, with_outputs(network, self._stops), self._opened, together=True)
        if not whole.widens(self._stops, rows, {}):
            return network.batch
        self._parts = [free_batch(part, network.batch) for part in self._parts]
        return rows_at_once(network)


def _parts(network: Network, stops: list[str], own: set[str]) -> tuple[list[ModelProto], list[set[str]]]:
    """The graph from each stop to the next, and what is kept behind each: the stop, and what later ones read."""
    varying = {network.input} | own
    for node in network.model.graph.node:
        if not varying.isdisjoint(node.input):
            varying.update(node.output)
    parts, known = [], {network.input}
    for stop in stops:
        parts.append(with_outputs(network, [stop], known | own))
        known |= varying & {name for node in parts[-1].graph.node for name in node.output}
    wanted: set[str] = set()
    kept = []
    for stop, part in zip(reversed(stops), reversed(parts), strict=True):
        kept.append(wanted | {stop})
        made = {name for node in part.graph.node for name in node.output}
        del part.graph.output[:]
        part.graph.output.extend(ValueInfoProto(name=name) for name in sorted(kept[-1] & made))
        read = {name for node in part.graph.node for name in node.input}
        wanted = (kept[-1] | read & known) - made
    return parts, kept[::-1]
