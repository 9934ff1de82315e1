"""The example notebook runs from its first cell to its last, and its results show themselves."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_look.ipynb"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    shown = [o for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs if "data" in o]
    displayed = [output for output in shown if output.output_type == "display_data"]
    assert not [output for output in displayed if "text/html" in output.data]  # a result shows itself once
    pages = [output.data["text/html"] for output in shown if "text/html" in output.data]
    assert any("layer_cushion.min" in page for page in pages)  # a DataFrame
    assert sum("<pre" in page for page in pages) >= 2  # the network or report, and the comparison
