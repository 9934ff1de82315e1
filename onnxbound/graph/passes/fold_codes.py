"""The product of a one-hot encoding of x with a matrix W becomes the table look-up W[x]."""

from collections import Counter
from dataclasses import replace

from onnxbound.graph.layer import Step
from onnxbound.operators.dense import Dense
from onnxbound.operators.lookup import Lookup, OneHot
from onnxbound.words import counted


def fold_codes(steps: tuple[Step, ...], logits: str) -> tuple[tuple[Step, ...], bool, str]:
    """Make a lookup of every product of codes with a weight; codes that nothing else reads go."""
    codes = {step.output: step for step in steps if isinstance(step.operator, OneHot)}
    result, folded = [], 0
    for step in steps:
        operator, code = step.operator, codes.get(step.inputs[0])
        if code is not None and isinstance(operator, Dense) and operator.bias is None and operator.scale is None:
            table = Lookup(operator.weight.T, codes=True)
            result.append(replace(step, operator=table, inputs=code.inputs, weight="", folded=("Equal",)))
            folded += 1
        else:
            result.append(step)
    read = Counter(name for step in result for name in step.inputs)
    kept = tuple(step for step in result if step.output not in codes or read[step.output] or step.output == logits)
    reason = f"read as embedding: {counted(folded, 'product')} with one-hot codes" if folded else ""
    return kept, bool(folded), reason
