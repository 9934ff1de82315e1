"""A report whose every name was made by somebody who wishes the reader ill."""

from dataclasses import replace

from onnxbound.analysis.result import Report
from tests.report.example import example

NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><svg onload=alert(1)>",
    "javascript:alert(1)//' onmouseover='alert(1)",
    "x" * 3000,
    "\x1b[2J\x00\u202e\ud800 ]]> <!-- &lt; &#60;",
)


def hostile(kind: str = "chain") -> Report:
    """An example with names, paths, warnings and references replaced."""
    report = example(kind)
    layers = tuple(replace(layer, name=NAMES[k % len(NAMES)], op=NAMES[0]) for k, layer in enumerate(report.layers))
    words = " ".join(NAMES)
    bounds = tuple(replace(bound, met_reason=words, reference=NAMES[1]) for bound in report.bounds)
    return replace(
        report,
        layers=layers,
        bounds=bounds,
        model=replace(report.model, path=f"a/{NAMES[2]}.onnx", producer=NAMES[0], sha256=NAMES[1]),
        data=replace(report.data, path=NAMES[3]),
        coverage=replace(report.coverage, normalised=NAMES),
        settings={**report.settings, NAMES[0]: NAMES[1], "preprocessing": {NAMES[2]: NAMES[3]}},
        warnings=NAMES,
    )
