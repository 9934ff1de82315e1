"""A Pad with zeros directly before a convolution becomes part of the convolution's padding."""

from collections import Counter
from dataclasses import replace

from onnxbound.graph.layer import Step
from onnxbound.operators.conv import Conv
from onnxbound.operators.pad import Pad


def fold_pad(steps: tuple[Step, ...], logits: str) -> tuple[tuple[Step, ...], bool, str]:
    """Give every Pad with zeros to the Conv that alone reads it, unless it pads channels.

    The composition is the same map; its norm is that of the convolution on the images that can reach it.
    """
    readers = Counter(name for step in steps for name in step.inputs)
    pads = {step.output: step for step in steps if _is_border_of_zeros(step) and readers[step.output] == 1}
    pads.pop(logits, None)
    merged: dict[str, Step] = {}
    result = []
    for step in steps:
        pad = pads.get(step.inputs[0]) if isinstance(step.operator, Conv) else None
        if pad is None:
            result.append(step)
        else:
            result.append(_merge(pad, step))
            merged[pad.output] = step
    kept = tuple(step for step in result if step.output not in merged)
    return kept, bool(merged), f"folded {len(merged)} Pad into the Conv that follows" if merged else ""


def _is_border_of_zeros(step: Step) -> bool:
    pad = step.operator
    return isinstance(pad, Pad) and pad.value == 0 and pad.begin[0] == pad.end[0] == 0


def _merge(pad: Step, conv: Step) -> Step:
    assert isinstance(pad.operator, Pad)
    assert isinstance(conv.operator, Conv)
    windows, border = conv.operator.windows, list(zip(pad.operator.begin[1:], pad.operator.end[1:], strict=True))
    wider = replace(
        windows,
        size=tuple(n - b - e for n, (b, e) in zip(windows.size, border, strict=True)),
        begin=tuple(n + b for n, (b, _) in zip(windows.begin, border, strict=True)),
        end=tuple(n + e for n, (_, e) in zip(windows.end, border, strict=True)),
    )
    return replace(conv, operator=replace(conv.operator, windows=wider), inputs=pad.inputs, folded=("Pad",))
