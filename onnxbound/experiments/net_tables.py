"""What the views of several nets share."""

from collections.abc import Iterator, Sequence

from onnxbound.experiments.nets import Net
from onnxbound.report.view import Facts, Table
from onnxbound.report.words import marked
from onnxbound.results import Basis
from onnxbound.words import number, percent


def doubts(nets: Sequence[Net]) -> Iterator[str]:
    """Say first which nets probably got other rows than in training."""
    yield from (f"{net.name}: {doubt}." for net in nets for doubt in net.doubts)


def doubtless(warnings: Sequence[str], nets: Sequence[Net]) -> tuple[str, ...]:
    """Leave out the warnings that a verdict has said."""
    said = {doubt for net in nets for doubt in net.doubts}
    return tuple(warning for warning in warnings if warning.partition(": ")[2] not in said)


def log10_capacity(net: Net, capacity: str) -> str:
    """Write the decimal logarithm of a capacity as plotted."""
    log = net.log10_capacities[capacity]
    basis: Basis = "estimated" if capacity in net.estimated else "measured"
    return marked(number(None if log is None else round(log, 2)), basis)


def nets_table(nets: Sequence[Net]) -> Table:
    """List every net with its size and its errors."""
    tested = [net.test_error for net in nets if net.test_error is not None]
    head = ("net", "layers", "parameters", "train error", *["test error"] * bool(tested), "gamma")
    rows = tuple(
        (
            net.name,
            str(net.depth),
            f"{net.parameters:,}",
            percent(net.train_error),
            *[percent(net.test_error)] * bool(tested),
            number(net.gamma),
        )
        for net in nets
    )
    return Table("What is compared", head, rows)


def about_nets(nets: Sequence[Net], *more: tuple[str, str]) -> Facts:
    """List the full path of every net, and what is done to its rows."""
    return Facts((*((net.name, "; ".join(filter(None, (net.path, net.preprocessing)))) for net in nets), *more))
