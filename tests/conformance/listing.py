"""The list of the cases and how each ended, as it is checked in."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import onnx

from tests.conformance.cases import Result, operators

LIST = Path(__file__).parent / "cases.md"
STATES = ("passed", "refused", "skipped", "failed")


def listing(results: Sequence[Result]) -> str:
    """The list as Markdown: a table of operators, then every case."""
    counts = Counter((result.op, result.status) for result in results)
    lines = [
        "# Operators against the node tests of the onnx package",
        "",
        f"The cases of onnx {onnx.__version__} with one node of an operator that onnxbound reads. *Passed*: the values",
        "equal the expected ones, and the Jacobian, forward and transposed, agrees with finite differences of the",
        "reference implementation. *Refused*: onnxbound says that it does not read the case, as it would of a model.",
        "*Skipped*: nothing to compare. `python -m tests.conformance` writes this list.",
        "",
        f"| operator | {' | '.join(STATES)} |",
        f"|---|{'---|' * len(STATES)}",
    ]
    lines += [f"| {op} | {' | '.join(str(counts[op, state]) for state in STATES)} |" for op in operators()]
    totals = Counter(result.status for result in results)
    lines += [f"| all | {' | '.join(str(totals[state]) for state in STATES)} |", ""]
    for state in reversed(STATES):
        chosen = [result for result in results if result.status == state]
        if chosen:
            lines += [f"## {state.capitalize()}", ""]
            lines += [f"* `{result.case}` ({result.op}): {result.reason}" for result in chosen] + [""]
    return "\n".join(lines).rstrip() + "\n"


def version_of(text: str) -> str:
    """Of which onnx version a list is."""
    return text.partition("The cases of onnx ")[2].split()[0]
