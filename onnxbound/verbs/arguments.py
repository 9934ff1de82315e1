"""What verbs take: a network or its file, and rows that were opened."""

from os import PathLike

from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network

AnyPath = str | PathLike[str]
AnyNetwork = Network | AnyPath


def network_of(given: AnyNetwork) -> Network:
    """Return a network, read from its file where the path is given."""
    return given if isinstance(given, Network) else load(given)


def require_rows(**given: object) -> None:
    """Refuse anything but opened rows, such as the path of a file.

    Raises:
        UsageError: An argument is something else.
    """
    for name, rows in given.items():
        if not isinstance(rows, Rows | None):
            raise UsageError("usage", f"`{name}` takes rows that open_rows has opened, not {rows!r}.")
