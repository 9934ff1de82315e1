"""A second verifier of onnxbound's certificates, which shares no line with the first.

    python verify_certificate.py DIR --data ROWS.npz [--x-key KEY] [--y-key KEY] [--labels-start N] [--delta D]

It needs Python and NumPy, and nothing else: no ONNX, no onnxruntime, none of onnxbound. It reads `code.bin` as
`certificate-format.md` says, evaluates the network in float64, counts the errors and checks the bound in exact
rational arithmetic. It covers the object "compressed" of networks of the usual piecewise linear operators; anything
else it names and declines. Exit code: 0 verified, 1 refused, 2 declined. `decoded.onnx` is not looked into: what is
proved is about the network in the code.
"""

import argparse
import hashlib
import json
import sys
from fractions import Fraction
from itertools import groupby
from math import comb, cos, factorial, pi, prod, sqrt
from pathlib import Path

import numpy as np


class Refused(Exception):
    """The certificate does not verify."""


class Declined(Exception):
    """The certificate is of a kind that this program does not cover."""


# --- The range coder: decisions from bits, and the one string of bits for some decisions -----------------------------

ONE, TOP, MASK = 1 << 16, 1 << 24, (1 << 32) - 1


class Coder:
    """Reads decisions, and writes them again: the bits that were read must be those that are written."""

    def __init__(self, bits):
        padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
        self.data = int(padded, 2).to_bytes(len(padded) // 8, "big") if padded else b""
        self.place, self.code, self.range = 4, int.from_bytes(self.data[:4].ljust(4, b"\0"), "big"), MASK
        self.low, self.written = 0, bytearray()
        self.counters, self.weights = {}, {}

    def fixed(self, probability=ONE // 2):
        """One decision; a 1 has the given probability in units of 2^-16."""
        split = (self.range >> 16) * probability
        bit = int(self.code < split)
        if bit:
            self.range = split
        else:
            self.code -= split
            self.low += split
            self.range -= split
        while self.range < TOP:
            if self.place > len(self.data) + 4:
                raise Refused("code.bin: the code ends too early")
            following = self.data[self.place] if self.place < len(self.data) else 0
            self.code = ((self.code << 8) | following) & MASK
            self.range = (self.range << 8) & MASK
            self.place += 1
            self.carry()
            self.written.append(self.low >> 24)
            self.low = (self.low << 8) & MASK
        return bit

    def carry(self):
        if self.low > MASK:
            self.low &= MASK
            place = len(self.written) - 1
            while self.written[place] == 255:
                self.written[place] = 0
                place -= 1
            self.written[place] += 1

    def finish(self):
        """The shortest string of bits whose every continuation decodes to the decisions so far."""
        high = self.low + self.range
        for count in range(33):
            unit = 1 << (32 - count)
            value = -(-self.low // unit) * unit
            if value + unit <= high:
                break
        self.low = value
        self.carry()
        return "".join(f"{byte:08b}" for byte in self.written) + f"{self.low:032b}"[:count]

    def mixed(self, kind, contexts):
        """One decision whose probability is mixed from one counter per context, all of which learn from it."""
        counters = [self.counters.setdefault((kind, k, c), [ONE // 2, 0]) for k, c in enumerate(contexts)]
        weights = self.weights.setdefault(kind, [3 * ONE // 10] * len(contexts))
        inputs = [STRETCH[counter[0] >> 4] for counter in counters]
        total = sum(w * s for w, s in zip(weights, inputs, strict=True)) >> 16
        probability = max(1, min(ONE - 1, SQUASH[max(-2047, min(2047, total)) + 2047]))
        bit = self.fixed(probability)
        error = (bit << 16) - probability
        for k, s in enumerate(inputs):
            weights[k] += s * error >> 14
        for counter in counters:
            p, seen = counter
            counter[0] = max(16, min(ONE - 16, p + 2 * ((bit << 16) - p) // (2 * seen + 3)))
            counter[1] = min(seen + 1, 255)
        return bit


def squash_table():
    """2^16 / (1 + exp(-s / 256)) for s = -2047 .. 2047, in fixed point."""
    one = 1 << 60
    base = term = one
    for n in range(1, 12):
        term //= 256 * n
        base += term
    powers = [one]
    for _ in range(2047):
        powers.append(powers[-1] * base >> 60)
    upper = [ONE * power // (one + power) for power in powers]
    return [ONE - p for p in reversed(upper[1:])] + upper


def stretch_table(squash):
    table, s = [], 0
    for p in range(0, ONE, 16):
        while s + 1 < len(squash) and squash[s + 1] <= p:
            s += 1
        table.append(s - 2047)
    return table


SQUASH = squash_table()
STRETCH = stretch_table(SQUASH)

# --- The grammar: choices, counts and numbers ------------------------------------------------------------------------


def choice(c, weights):
    rest = sum(weights)
    for place, weight in enumerate(weights):
        if weight == rest:
            return place
        if weight and c.fixed((weight << 16) // rest):
            return place
        rest -= weight
    raise AssertionError


def flag(c, yes, no):
    return choice(c, (yes, no)) == 0


def plain(c, count):
    result = 0
    for _ in range(count):
        result = 2 * result + c.fixed()
    return result


def natural(c):
    length = 1
    while c.fixed():
        length += 1
        if length > 40:
            raise Refused("code.bin: a number is too long")
    return (1 << (length - 1)) + plain(c, length - 1) - 1


def integer(c):
    found = natural(c)
    return found // 2 if found % 2 == 0 else -(found + 1) // 2


def usual(c, values, weights):
    place = choice(c, weights)
    if place < len(values):
        return values[place]
    return unusual(natural(c), values)


def unusual(value, values):
    once(value not in values, "a value is spelled the long way")
    return value


def once(holds, why):
    """Refuse what has a shorter spelling, or cannot be."""
    if not holds:
        raise Refused(f"code.bin: {why}")


def count_of(c):
    power = usual(c, range(13), (3, 3, 6, 6, 5, 4, 4, 3, 2, 1, 1, 1, 1, 1))
    once(power <= 40, "a length is too large")
    return (2 * natural(c) + 1) << power


def alike(c, axes, values, weights):
    if axes == 1 or flag(c, 15, 1):
        return (usual(c, values, weights),) * axes
    found = tuple(usual(c, values, weights) for _ in range(axes))
    once(len(set(found)) > 1, "equal lengths are spelled one by one")
    return found


def number(c):
    form = choice(c, (8, 4, 4))
    if form == 2:
        value = float(np.uint32(plain(c, 32)).view(np.float32))
        once(spelled(value)[0] == 2, "a number is spelled the long way")
    else:
        size = natural(c)
        if size and flag(c, 1, 3):
            size = -size
        power = integer(c)
        once(abs(size) <= 10_000 and abs(power) <= 16 and (form == 0 or power > 0), "a number is spelled the long way")
        value = float(np.float32(size * 2.0**-power if form == 0 else size / 10**power))
        once(spelled(value) == (form, size, power), "a number is spelled the long way")
    require_plain(np.array(value))
    return value


def spelled(value):
    """The first form that can say a number: n 2^-e, n 10^-e, or its 32 bits."""
    if value == 0:
        return 0, 0, 0
    numerator, denominator = value.as_integer_ratio() if np.isfinite(value) else (1 << 12, 1)
    shift = (numerator & -numerator).bit_length() - denominator.bit_length()
    odd = numerator >> max(shift, 0)
    if abs(odd) < 1 << 12 and abs(shift) <= 16:
        return 0, odd, -shift
    for power in range(1, 8):
        rounded = round(value * 10**power) if abs(value) < 10_000 else 0
        if 0 < abs(rounded) < 10_000 and rounded % 10 and float(np.float32(rounded / 10**power)) == value:
            return 1, rounded, power
    return 2, 0, 0


def require_plain(values):
    sizes = np.abs(values[values != 0])
    ok = np.all((sizes >= 2.0**-126) & (sizes <= 2.0**60))
    once(ok, "a number is not finite, denormal, or larger than 2^60")


# --- Preprocessing ---------------------------------------------------------------------------------------------------

SCALES = (None, 1 / 255, 1.0)


def digits_of(value):
    return next((k for k in range(17) if 0 <= value <= 1 and value * (1 << k) % 1 == 0), 0)


def read_preprocessing(c):
    layout = (None, "nhwc", "flat", "nchw")[choice(c, (10, 4, 1, 1))]
    place = choice(c, (5, 8, 2, 1))
    scale = SCALES[place] if place < 3 else number(c)
    means = flag(c, 7, 9)
    stds = flag(c, *((7, 1) if means else (1, 7)))
    mean, std = (0.0,), (1.0,)
    if means or stds:
        digits = usual(c, (6, 5, 7, 8, 4), (8, 2, 2, 2, 1, 1))
        once(digits <= 16, "preprocessing has too many places")
        mean = read_shares(c, digits, 0) if means else mean
        std = read_shares(c, digits, 1) if stds else std
        once(digits == max(map(digits_of, (*mean, *std))), "preprocessing has more places than it needs")
    long_way = (place == 3 and scale in SCALES) or (means and mean == (0.0,)) or (stds and std == (1.0,))
    once(not long_way and scale != 0 and 0 not in std, "preprocessing is spelled the long way, or divides by 0")
    return scale, mean, std, layout


def read_shares(c, digits, least):
    count = usual(c, (1, 3), (5, 10, 1))
    once(1 <= count <= 1 << 12, "preprocessing has no such count of numbers")
    found = []
    for _ in range(count):
        if flag(c, 15, 1):
            found.append((plain(c, digits) + least) / (1 << digits))
        else:
            found.append(number(c))
            scaled = found[-1] * (1 << digits)
            near = least <= scaled < least + (1 << digits) and scaled % 1 == 0
            once(not near, "preprocessing is spelled the long way")
    return tuple(found)


def preprocessing_in_words(preprocessing):
    scale, mean, std, layout = preprocessing
    named = {None: "none", 1 / 255: "1/255"}.get(scale, repr(scale))
    means, stds = (" ".join(map(repr, numbers)) for numbers in (mean, std))
    return f"scale {named}, mean {means}, std {stds}, layout {layout or 'of the network'}"


# --- The architecture ------------------------------------------------------------------------------------------------

WORDS = (
    "Conv", "Dense", "Relu", "MaxPool", "Reshape", "Add", "AveragePool", "Mean", "LeakyRelu", "Clip",
    "ElementwiseAffine", "Concat", "Smooth", "Softmax", "Product", "MatrixProduct", "Transpose", "Pad", "Select",
    "SaturatingRounding",
)  # fmt: skip
FOLLOWING = {
    "": {"Conv": 40, "Dense": 20, "Reshape": 20, "ElementwiseAffine": 6, "Transpose": 4},
    "Conv": {"Relu": 60, "Conv": 12, "Add": 12, "MaxPool": 4, "LeakyRelu": 6, "Smooth": 6, "Clip": 4},
    "Dense": {"Relu": 40, "end": 40, "LeakyRelu": 5, "Smooth": 6, "Dense": 2, "Add": 4, "Reshape": 4},
    "MaxPool": {"Conv": 30, "Reshape": 25, "Relu": 8, "Concat": 3},
    "Reshape": {"Dense": 60, "Conv": 3, "Transpose": 5},
    "Add": {"Relu": 30, "Conv": 20, "Mean": 4, "ElementwiseAffine": 8},
    "AveragePool": {"Conv": 15, "Reshape": 30, "Concat": 4},
    "Mean": {"Reshape": 60, "Dense": 15, "Add": 10},
    "gate": {"Conv": 40, "Dense": 22, "MaxPool": 16, "Reshape": 10, "Mean": 6, "AveragePool": 4, "Add": 2, "Concat": 2},
    "other": {"Conv": 5, "Dense": 5, "Relu": 5, "Reshape": 5, "Add": 4, "end": 2},
}
LARGEST_ROW = 1 << 26


class Node:
    """An operator: its word, the tensors it reads, its settings, and the shapes of the tensors it has itself."""

    def __init__(self, word, inputs):
        self.word, self.inputs = word, inputs
        self.holes = []  # (name, shape)
        self.tensors = {}


def read_architecture(c):
    classes = usual(c, (10, 2, 100, 1000, 3), (8, 2, 2, 1, 1, 2))
    once(classes >= 2, "a classifier has at least two classes")
    shapes, nodes, unread, work, numbers = [read_input_shape(c)], [], {0}, 0, 0
    while True:
        last = len(nodes)
        complete = last > 0 and unread == {last} and shapes[-1] == (classes,)
        before = nodes[-1].word if nodes else ""
        key = "gate" if before in ("Relu", "LeakyRelu", "Clip", "Smooth") else before
        likely = FOLLOWING.get(key, FOLLOWING["other"])
        place = choice(c, [*(likely.get(word, 1) for word in WORDS), likely.get("end", 1) if complete else 0])
        if place == len(WORDS):
            return nodes, shapes
        word = WORDS[place]
        if word not in READ:
            raise Declined(f"the network has the operator {word}")
        node = Node(word, read_inputs(c, 0 if word in ("Add", "Concat") else 1, last, unread))
        unread -= set(node.inputs)
        given = [shapes[k] for k in node.inputs]
        shapes.append(READ[word](c, node, given, classes))
        nodes.append(node)
        unread.add(last + 1)
        work += sum(map(prod, (*given, shapes[-1]))) + node_work(node, given[0], shapes[-1])
        numbers += sum(prod(shape) for _, shape in node.holes)
        once(
            prod(shapes[-1]) <= LARGEST_ROW and work <= 1 << 33 and len(nodes) <= 1 << 14,
            "a row of the network would take too much memory or time",
        )
        once(numbers <= 1 << 22, "the network has too many numbers")


def node_work(node, given, shape):
    if node.word == "Dense":
        return prod(node.holes[0][1]) * prod(given[:-1])
    if node.word == "Conv":
        return prod(node.holes[0][1]) * prod(shape[1:])
    return prod(node.kernel) * prod(shape) if node.word in ("MaxPool", "AveragePool") else 0


def read_input_shape(c):
    if flag(c, 3, 1):
        channels = usual(c, (1, 3), (7, 8, 1))
        side = usual(c, (32, 28, 224, 64, 96), (6, 6, 1, 1, 1, 1))
        once(0 < channels * side * side <= LARGEST_ROW, "a row is empty or too large")
        return channels, side, side
    found = read_shape(c)
    long_way = len(found) == 0 or (len(found) == 3 and found[1] == found[2])
    once(not long_way, "the shape of a row is spelled the long way")
    return found


def read_shape(c):
    rank = usual(c, (1, 2, 3), (4, 4, 4, 1))
    once(rank <= 8, "a tensor has too many axes")
    found = tuple(count_of(c) for _ in range(rank))
    once(prod(found) <= LARGEST_ROW, "a tensor is too large")
    return found


def read_inputs(c, count, last, unread):
    if count == 0:
        count = 2 if flag(c, 15, 1) else unusual(1 + natural(c), (2,))
    once(count <= 1 << 10, "an operator reads too many tensors")
    found = []
    for place in range(count):
        order = sorted(range(last + 1), key=lambda k: (k in unread and k not in found, k), reverse=True)
        if last == 0:
            away = 0
        elif place == 0:
            away = 0 if flag(c, 27, 5) else 1 + natural(c)
        else:
            away = natural(c)
        once(away < len(order), "a tensor is read that is not there")
        found.append(order[away])
    return tuple(found)


def read_windows(c, node, shape, *, pool):
    size = shape[1:]
    axes = len(size)
    once(1 <= axes <= 3, "windows slide over one to three axes")
    if pool:
        kernel = alike(c, axes, (2, 3), (10, 5, 2))
    else:
        kernel = alike(c, axes, (3, 5, 1, 7, 2, 4), (16, 8, 4, 2, 1, 1, 1))
    tiled = pool and flag(c, 7, 1)
    strides = kernel if tiled else alike(c, axes, (1, 2, 4), (11, 4, 1, 1))
    once(not (pool and not tiled and strides == kernel), "the strides of a pool are spelled the long way")
    dilations = alike(c, axes, (1, 2), (30, 1, 1))
    every = (*kernel, *strides, *dilations)
    once(min(every) >= 1 and max(every) <= LARGEST_ROW, "a kernel, stride or dilation is not possible")
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilations, strict=True)]
    half = tuple((n - 1) // 2 for n in span)
    begin = one_of(c, ((0,) * axes, half), (12, 3, 1) if pool else (7, 8, 1), 0)
    even = tuple((n + 2 * b - k) // s + 1 for n, b, k, s in zip(size, begin, span, strides, strict=True))
    covering = tuple(-(-n // s) for n, s in zip(size, strides, strict=True))
    output = one_of(c, (even, covering), (14, 1, 1), 1)
    fit = list(zip(output, strides, span, size, begin, strict=True))
    reach = tuple(max((o - 1) * s + k - n - b, 0) for o, s, k, n, b in fit)
    padded = [max((o - 1) * s + k, n + b + e) for (o, s, k, n, b), e in zip(fit, reach, strict=True)]
    again = tuple((n + b + e - k) // s + 1 for (_, s, k, n, b), e in zip(fit, reach, strict=True))
    once(min(output) >= 1 and prod(padded) <= LARGEST_ROW and again == output, "the windows do not fit their input")
    inside = all(b < k and e < k for b, e, k in zip(begin, reach, span, strict=True))
    once(not pool or inside, "a window of a pool lies in the padding")
    node.kernel, node.strides, node.dilations, node.begin, node.end = kernel, strides, dilations, begin, reach
    node.size, node.output = size, output


def one_of(c, tuples, weights, least):
    distinct = list(dict.fromkeys(tuples))
    place = choice(c, (*weights[: len(distinct)], weights[-1]))
    if place < len(distinct):
        return distinct[place]
    found = tuple(natural(c) + least for _ in tuples[0])
    once(found not in distinct and max(found) <= LARGEST_ROW, "padding is spelled the long way, or too large")
    return found


def read_conv(c, node, given, _):
    channels = given[0][0]
    divisors = list(dict.fromkeys((1, channels)))
    node.groups = usual(c, divisors, (60, 3, 1) if len(divisors) == 2 else (60, 4))
    units = count_of(c)
    fits = node.groups >= 1 and channels % node.groups == 0 and units % node.groups == 0
    once(fits, "the groups of a Conv do not divide its channels")
    read_windows(c, node, given[0], pool=False)
    biased = flag(c, 15, 1)
    once(units * channels * prod(node.kernel) <= LARGEST_ROW * node.groups, "a weight is too large")
    node.holes.append(("weight", (units, channels // node.groups, *node.kernel)))
    node.holes += [("bias", (units,))] * biased
    return (units, *node.output)


def read_dense(c, node, given, classes):
    once(len(given[0]) > 0, "a dense layer reads a single number")
    units = classes if flag(c, 1, 1) else unusual(count_of(c), (classes,))
    once(units * prod(given[0]) <= LARGEST_ROW, "a weight is too large")
    node.holes.append(("weight", (units, given[0][-1])))
    node.holes += [("bias", (units,))] * flag(c, 15, 1)
    return (*given[0][:-1], units)


def read_max_pool(c, node, given, _):
    read_windows(c, node, given[0], pool=True)
    return (given[0][0], *node.output)


def read_average_pool(c, node, given, _):
    node.counted = flag(c, 1, 7)
    ceil = node.counted and flag(c, 1, 7)
    read_windows(c, node, given[0], pool=True)
    if ceil:
        raise Declined("an AveragePool with ceil_mode that counts its padding")
    return (given[0][0], *node.output)


def read_reshape(c, node, given, _):
    flat = (prod(given[0]),)
    if flag(c, 15, 1):
        return flat
    target = read_shape(c)
    once(target != flat and prod(target) == prod(given[0]), "a shape is spelled the long way, or does not fit")
    return target


def read_add(c, node, given, _):
    node.signs = (1,) * len(given)
    if not flag(c, 15, 1):
        node.signs = tuple(1 if flag(c, 1, 1) else -1 for _ in given)
        once(min(node.signs) < 0, "signs are spelled the long way")
    once(len(set(given)) == 1, "activations of different shapes are added")
    return given[0]


def read_mean(c, node, given, _):
    rank = len(given[0])
    node.axes = tuple(range(1, rank))
    if not flag(c, 7, 1):
        asked = [flag(c, 1, 1) for _ in range(rank)]
        found = tuple(axis for axis in range(rank) if asked[axis])
        once(found != node.axes, "the axes of a mean are spelled the long way")
        node.axes = found
    node.keep = flag(c, 7, 1)
    shape = [1 if axis in node.axes else n for axis, n in enumerate(given[0])]
    return tuple(n for axis, n in enumerate(shape) if node.keep or axis not in node.axes)


def read_constant(c, node, name, shape, absent):
    """A number, or a tensor of its own with one entry per place of some axes."""
    if absent is not None and not flag(c, 3, 1):
        node.tensors[name] = absent
    elif flag(c, 1, 1):
        node.tensors[name] = number(c)
        once(node.tensors[name] != absent, "a number is written that need not be")
    else:
        axes = (0,) if len(shape) == 3 else (len(shape) - 1,)
        if not flag(c, 15, 1):
            axes = tuple(axis for axis in range(len(shape)) if flag(c, 1, 1))
        found = tuple(n if axis in axes else 1 for axis, n in enumerate(shape))
        long_way = prod(found) == 1 or any(shape[axis] == 1 for axis in axes)
        once(not long_way, "a tensor of one number, or an axis of length 1, is written")
        node.holes.append((name, found))


def read_leaky(c, node, given, _):
    read_constant(c, node, "negative_slope", given[0], None)
    return given[0]


def read_affine(c, node, given, _):
    read_constant(c, node, "scale", given[0], 1.0)
    read_constant(c, node, "shift", given[0], 0.0)
    return given[0]


def read_clip(c, node, given, _):
    node.low = number(c) if flag(c, 15, 1) else -np.inf
    node.high = number(c) if flag(c, 15, 1) else np.inf
    once(node.low <= node.high, "the lower end of a Clip lies above its upper end")
    return given[0]


def read_concat(c, node, given, _):
    node.axis = axis = natural(c)
    others = {(*shape[:axis], *shape[axis + 1 :]) for shape in given}
    once(axis < len(given[0]) and len(others) == 1, "activations are joined whose shapes do not fit")
    return (*given[0][:axis], sum(shape[axis] for shape in given), *given[0][axis + 1 :])


def read_transpose(c, node, given, _):
    left, node.order = list(range(len(given[0]))), []
    while left:
        node.order.append(left.pop(choice(c, (1,) * len(left))))
    return tuple(given[0][axis] for axis in node.order)


def read_pad(c, node, given, _):
    rank = len(given[0])
    found = [natural(c) for _ in range(2 * rank)]
    node.begin, node.end = tuple(found[:rank]), tuple(found[rank:])
    node.value = 0.0 if flag(c, 15, 1) else number(c)
    shape = tuple(b + n + e for b, n, e in zip(node.begin, given[0], node.end, strict=True))
    once(prod(shape) <= LARGEST_ROW, "a tensor is too large")
    return shape


READ = {
    "Conv": read_conv, "Dense": read_dense, "Relu": lambda c, node, given, _: given[0], "MaxPool": read_max_pool,
    "Reshape": read_reshape, "Add": read_add, "AveragePool": read_average_pool, "Mean": read_mean,
    "LeakyRelu": read_leaky, "Clip": read_clip, "ElementwiseAffine": read_affine, "Concat": read_concat,
    "Transpose": read_transpose, "Pad": read_pad,
}  # fmt: skip


def architecture_in_words(nodes, input_shape):
    said = ["x".join(map(str, input_shape))]
    for place, node in enumerate(nodes):
        name = node.word
        if name == "Dense":
            name += f" {node.holes[0][1][0]}"
        elif name in ("Conv", "MaxPool", "AveragePool"):
            kernel, stride = ("x".join(map(str, n)) for n in (node.kernel, node.strides))
            name += f" {kernel}" + (f"x{node.holes[0][1][0]}" if node.word == "Conv" else "") + f"/{stride}"
        said.append(name if node.inputs == (place,) else f"{name} <- {' '.join(map(str, node.inputs))}")
    counted = [(word, len(list(found))) for word, found in groupby(said)]
    text = ", ".join(f"{word} ({count} times)" if count > 1 else word for word, count in counted)
    return text if len(text) <= 2000 else f"{text[:2000]} ... ({len(nodes):,} operators)"


# --- Hidden units that may change places -----------------------------------------------------------------------------


class Sets:
    """Sets of units while they are found, each by the number it got first."""

    def __init__(self):
        self.parent, self.count, self.fixed, self.rows, self.columns = [], [], set(), [], []

    def new(self, count):
        self.parent.append(len(self.parent))
        self.count.append(count)
        return len(self.parent) - 1

    def root(self, k):
        while self.parent[k] != k:
            k = self.parent[k]
        return k

    def fix(self, given):
        self.fixed |= {k for k in given if k is not None}


def unit_sets(nodes, shapes, places):
    """(count, holes whose first axis they are, holes whose second axis they are), by the first hole."""
    sets, units = Sets(), [None]
    for number_, node in enumerate(nodes):
        given = [units[k] for k in node.inputs]
        own = [(name, shape, places[number_, name]) for name, shape in node.holes]
        units.append(followed(sets, node, given, shapes[node.inputs[0]], own))
    sets.fix(units[-1:])
    fixed = {sets.root(k) for k in sets.fixed}
    found = []
    for k, count in enumerate(sets.count):
        if sets.root(k) == k and k not in fixed and count > 1:
            rows, columns = (
                sorted(hole for other, hole in pairs if sets.root(other) == k) for pairs in (sets.rows, sets.columns)
            )
            found.append((count, rows, columns))
    return sorted(found, key=lambda entry: entry[1][0])


def followed(sets, node, given, shape, own):
    first, word = given[0], node.word
    along = first is not None and len(shape) > 0 and sets.count[first] == shape[0]
    if word == "Conv" and node.groups > 1:
        if not (along and node.groups == shape[0] == node.holes[0][1][0]):
            sets.fix([first])
            return None
        sets.rows += [(first, hole) for _, _, hole in own]
        return first
    if word in ("Conv", "Dense"):
        if word == "Dense" and len(shape) > 1:
            sets.fix([first])
            return None
        if first is not None and (along or word == "Dense"):
            sets.columns.append((first, own[0][2]))
        else:
            sets.fix([first])
        units = sets.new(node.holes[0][1][0])
        sets.rows += [(units, hole) for _, _, hole in own]
        return units
    if word == "Add":
        counts = {None if k is None else sets.count[k] for k in given}
        if None in counts or len(counts) > 1:
            sets.fix(given)
            return None
        first, *others = sorted(sets.root(k) for k in given)
        for other in others:
            sets.parent[other] = first
        return first
    if first is None or len(given) > 1:
        sets.fix(given)
        return None
    if word == "Reshape":
        return first
    gate = word in ("Relu", "LeakyRelu", "Clip", "ElementwiseAffine")
    if gate and (along or len(shape) == 1 or not own):
        sets.rows += [(first, hole) for _, found, hole in own if found[0] > 1]
        return first
    kept = along and (
        word in ("MaxPool", "AveragePool")
        or (word == "Mean" and 0 not in node.axes)
        or (word == "Pad" and node.begin[0] == node.end[0] == 0)
    )
    if not kept:
        sets.fix([first])
    return first if kept else None


def arrangements(counts):
    return factorial(sum(counts)) // prod(map(factorial, counts))


def rank_of(groups, counts):
    left, total, result = list(counts), arrangements(counts), 0
    for place, group in enumerate(groups):
        remaining = len(groups) - place
        result += total * sum(left[:group]) // remaining
        total = total * left[group] // remaining
        left[group] -= 1
    return result


# --- Tensors ---------------------------------------------------------------------------------------------------------


def density(nonzero, count):
    share = (nonzero * 32 + 16) // (count + 1)
    return sum(share > limit for limit in (0, 1, 3, 6, 10, 16, 22))


def read_sizes(c, tensor, filters, channels, height, width):
    at_tap, in_channel = np.zeros((channels, height, width), int).tolist(), [0] * channels
    before, image, result = np.zeros((channels, height, width), int).tolist(), height * width > 1, []
    for number_ in range(filters):
        found, in_row = np.zeros((channels, height, width), int).tolist(), 0
        for k in range(channels):
            in_kernel = 0
            for y in range(height):
                for x in range(width):
                    left = min(found[k][y][x - 1], 2) if x else 0
                    up = min(found[k][y - 1][x], 2) if y else 0
                    known = y * width + x
                    past = min(before[k][y][x], 2)
                    across = min(found[k - 1][y][x], 2) if k else 0
                    tap, row = density(at_tap[k][y][x], number_), density(in_row, k * height * width + known)
                    channel = density(in_channel[k], number_ * height * width + known)
                    local = density(in_kernel, known)
                    contexts = [
                        tensor,
                        (tensor, tap, row),
                        (left, up, local) if image else (past, tap),
                        (tensor, channel, row, min(known, 3)),
                        (tensor, y, x, past) if image else (across, past, row),
                        (left + up, past + across, local),
                    ]
                    if c.mixed("nonzero", contexts):
                        found[k][y][x] = read_size(c, [tensor, (min(left + up, 3), past), (row, tap)])
                        in_row, in_kernel = in_row + 1, in_kernel + 1
                        in_channel[k] += 1
                        at_tap[k][y][x] += 1
        result.append(found)
        before = found
    return np.array(result, np.int64).reshape(filters, channels, height, width)


def read_size(c, contexts):
    size = 1
    while size < 20 and c.mixed(("size", min(size, 6)), [(size, context) for context in contexts]):
        size += 1
    if size < 20:
        return size
    length = 1
    while length < 25 and c.mixed("length", [length]):
        length += 1
    value = 1
    for place in reversed(range(length - 1)):
        value = 2 * value + c.mixed("long", [(length, place)])
    return 20 + value - 1


def read_signs(c, tensor, levels):
    """Put the signs to the sizes."""
    filters, channels, height, width = levels.shape
    for f in range(filters):
        for k, y, x in np.argwhere(levels[f]).tolist():
            left = int(np.sign(levels[f, k, y, x - 1])) if x else 0
            up = int(np.sign(levels[f, k, y - 1, x])) if y else 0
            if c.mixed("sign", [tensor, (left, up), (tensor, k, y, x)]):
                levels[f, k, y, x] *= -1


def filters_of(shape):
    if len(shape) <= 2:
        return (*shape, 1, 1, 1)[:4]
    return shape[0], shape[1], prod(shape[2:-1]), shape[-1]


def read_step(c, before):
    high = 0
    while high < 254 << 3 and c.fixed():
        high += 1
    found = (high << 4) + plain(c, 4)
    step = before + (found >> 1 if found % 2 == 0 else -(found + 1 >> 1))
    once(1 <= step <= 254 << 3, "a step is too small or too large")
    return step


class Part:
    """A tensor as it is written: levels, a product of two, or numbers as they are."""

    def __init__(self, shape):
        self.shape, self.values, self.left, self.cosine = shape, None, None, False


def read_part(c, place, shape, before):
    part, filters = Part(shape), filters_of(shape)
    if not c.fixed(1 << 12):
        if len(shape) > 2 and prod(shape[2:]) > 1:
            part.cosine = bool(c.fixed(1 << 10))
        before = part.step = read_step(c, before)
        part.levels = read_sizes(c, place, *filters)
        once(part.levels.max(initial=0) < 1 << 24, "a level is too large")
        exact = int(part.levels.max(initial=0)) * prod(n << 12 for n in shape[2:]) < 1 << 53
        once(not part.cosine or exact, "levels are too large")
        return part, before
    if c.fixed():
        bits = [plain(c, 32) for _ in range(prod(shape))]
        part.values = np.array(bits, np.uint32).view(np.float32).reshape(shape)
        return part, before
    rank = 1 + natural(c)
    once(rank <= min(filters[0], prod(filters[1:])), "there is no such rank")
    before = part.left_step = read_step(c, before)
    part.left = read_sizes(c, (place, "left"), filters[0], rank, 1, 1)
    once(part.left.max(initial=0) < 1 << 24, "a level is too large")
    before = part.step = read_step(c, before)
    part.levels = read_sizes(c, place, rank, *filters[1:])
    once(part.levels.max(initial=0) < 1 << 24, "a level is too large")
    largest = rank * int(part.left.max(initial=0)) * int(part.levels.max(initial=0))
    once(largest < 1 << 53, "levels are too large")
    return part, before


def tensor_of(part):
    """The float32 tensor, rounded once."""
    if part.values is not None:
        return part.values
    step = float(np.uint32(part.step << 20).view(np.float32))
    with np.errstate(over="ignore", under="ignore"):
        if part.left is not None:
            left_step = float(np.uint32(part.left_step << 20).view(np.float32))
            product = part.left.reshape(len(part.left), -1).astype(float) @ part.levels.reshape(len(part.levels), -1)
            return (product * (left_step * step)).astype(np.float32).reshape(part.shape)
        levels = part.levels.reshape(part.shape)
        if not part.cosine:
            return levels.astype(np.float32) * np.float32(step)
        values = levels.astype(float)
        for axis in range(2, values.ndim):
            n = values.shape[axis]
            scale = [sqrt((2 if k else 1) / n) * 4096 for k in range(n)]
            table = [[round(scale[k] * cos(pi * (2 * x + 1) * k / (2 * n))) for x in range(n)] for k in range(n)]
            values = np.moveaxis(np.tensordot(values, np.array(table, float), (axis, 0)), -1, axis)
        return (values * (step * 2.0 ** (-12 * (values.ndim - 2)))).astype(np.float32)


def read_code(data):
    """Preprocessing, nodes with their tensors, shapes."""
    once(data[:1] == b"\2", f"the code is of format {data[0] if data else 0}, and this program reads format 2")
    once(len(data) <= 1 << 22, "the code is too long")
    bits = "".join(f"{byte:08b}" for byte in data[1:])
    c = Coder(bits)
    if c.fixed(1 << 12):
        raise Refused("code.bin: it is a difference from a prior, which is another object")
    preprocessing = read_preprocessing(c)
    nodes, shapes = read_architecture(c)
    holes = [(k, name, shape) for k, node in enumerate(nodes) for name, shape in node.holes]
    places = {(k, name): place for place, (k, name, _) in enumerate(holes)}
    leaders = {rows[0]: count for count, rows, _ in unit_sets(nodes, shapes, places)}
    parts, before, carried, every = [], 118 << 3, 0, 1
    for place, (_, _, shape) in enumerate(holes):
        part, before = read_part(c, place, shape, before)
        if place in leaders:
            carried, every = sort_units(part, leaders[place], carried, every)
        parts.append(part)
    written = c.finish()
    length = every.bit_length() - 1
    once(bits.startswith(written) and carried >> length == 0, "it is not the one file of its network")
    behind = (f"{carried:0{length}b}" if length else "") + bits[len(written) :]
    c = Coder(behind)
    for place, part in enumerate(parts):
        if part.left is not None:
            read_signs(c, (place, "left"), part.left)
        if part.values is None:
            read_signs(c, place, part.levels)
    signs = c.finish()
    once(behind.ljust(len(signs), "0").startswith(signs), "it is not the one file of its network")
    once("1" not in behind[len(signs) :], "it is not the one file of its network")
    used = len(written) + max(len(signs) - length, 0)
    once(len(bits) == -(-used // 8) * 8, "it is longer or shorter than what it describes")
    for (k, name, _), part in zip(holes, parts, strict=True):
        nodes[k].tensors[name] = tensor_of(part)
        require_plain(nodes[k].tensors[name])
    return preprocessing, nodes, shapes


def sort_units(part, count, carried, every):
    """Put the rows in order; what their order in the file was worth is added to the number that is carried."""
    if part.values is not None:
        sizes = part.values.view(np.uint32).astype(np.int64)
    else:
        sizes = part.levels if part.left is None else part.left
    rows = [tuple(row) for row in sizes.reshape(count, -1).tolist()]
    looks = sorted(set(rows))
    groups = [looks.index(row) for row in rows]
    counts = [groups.count(k) for k in range(len(looks))]
    order = sorted(range(count), key=lambda k: groups[k])
    if part.values is not None:
        part.values = part.values[order]
    elif part.left is not None:
        part.left = part.left[order]
    else:
        part.levels = part.levels[order]
    return carried + every * rank_of(groups, counts), every * arrangements(counts)


# --- Evaluation in float64 -------------------------------------------------------------------------------------------


def taps(node, x, value):
    """For each tap of the windows, the entries that it meets."""
    pads = [(0, 0), (0, 0), *zip(node.begin, node.end, strict=True)]
    padded = np.pad(x, pads, constant_values=value)
    for offset in np.ndindex(*node.kernel):
        axes = zip(offset, node.dilations, node.output, node.strides, strict=True)
        yield offset, padded[(..., *(slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, n, s in axes))]


def evaluate(node, x):
    t, first = node.tensors, x[0]
    word = node.word
    if word == "Dense":
        return first @ t["weight"].astype(float).T + t.get("bias", np.zeros(1, np.float32)).astype(float)
    if word == "Conv":
        weight, n = t["weight"].astype(float), len(first)
        groups, units = node.groups, weight.shape[0]
        patches = np.stack([view for _, view in taps(node, first, 0.0)], axis=2)
        patches = patches.reshape(n, groups, -1, prod(node.output))
        total = np.matmul(weight.reshape(groups, units // groups, -1), patches)
        bias = t.get("bias", np.zeros(units, np.float32)).astype(float)
        return total.reshape(n, units, *node.output) + bias.reshape(-1, *(1,) * len(node.output))
    if word == "Relu":
        return np.maximum(first, 0)
    if word == "MaxPool":
        return np.max([view for _, view in taps(node, first, -np.inf)], axis=0)
    if word == "AveragePool":
        inside = np.ones((1, 1, *node.size))
        counts = np.sum([view for _, view in taps(node, inside, float(node.counted))], axis=0)
        return np.sum([view for _, view in taps(node, first, 0.0)], axis=0) / counts
    if word == "Add":
        return sum(sign * value for sign, value in zip(node.signs, x, strict=True))
    if word == "Mean":
        return first.mean(axis=tuple(axis + 1 for axis in node.axes), keepdims=node.keep)
    if word == "LeakyRelu":
        return np.where(first > 0, first, np.asarray(t["negative_slope"], float) * first)
    if word == "Clip":
        return np.minimum(np.maximum(first, node.low), node.high)
    if word == "ElementwiseAffine":
        return first * np.asarray(t["scale"], float) + np.asarray(t["shift"], float)
    if word == "Concat":
        return np.concatenate(x, axis=node.axis + 1)
    if word == "Transpose":
        return first.transpose(0, *(axis + 1 for axis in node.order))
    assert word == "Pad"
    pads = [(0, 0), *zip(node.begin, node.end, strict=True)]
    return np.pad(first, pads, constant_values=node.value)


def logits_of(nodes, shapes, rows):
    values = [rows.astype(np.float32).astype(float)]
    for k, node in enumerate(nodes):
        given = [values[j] for j in node.inputs]
        if node.word == "Reshape":
            values.append(given[0].reshape(len(rows), *shapes[k + 1]))
        else:
            values.append(evaluate(node, given))
    return values[-1]


# --- Rows ------------------------------------------------------------------------------------------------------------

X_NAMES, Y_NAMES = ("x", "X", "images", "data", "inputs", "image"), ("y", "Y", "labels", "label", "targets")


def key_of(arrays, names, wanted, fits, what):
    if wanted is not None:
        if wanted not in arrays:
            raise Refused(f"the file has no array {wanted!r}")
        return wanted
    for tier in ([f"{name}_train" for name in names], names):
        there = [key for key in tier if key in arrays]
        fitting = [key for key in there if fits(arrays[key])] if len(there) > 1 else there
        if len(fitting) == 1:
            return fitting[0]
        if there:
            break
    raise Refused(f"the {what} cannot be told apart in the file: name them by --x-key and --y-key")


def arranged(rows, expected, layout):
    """Rows of the file in the shape that the network takes."""
    found = rows.shape[1:]

    def same(shape):
        return [n for n in shape if n != 1] == [n for n in expected if n != 1]

    if layout == "flat" and prod(found) == prod(expected):
        return rows.reshape(len(rows), *expected)
    if layout == "nhwc" and same((*found[-1:], *found[:-1])):
        return np.moveaxis(rows, -1, 1).reshape(len(rows), *expected)
    if layout == "nchw" and same((*found[1:], *found[:1])):
        return np.moveaxis(rows, 1, -1).reshape(len(rows), *expected)
    if layout != "flat" and same(found):
        return rows.reshape(len(rows), *expected)
    raise Refused(f"the rows have the shape {found}, the network takes {expected}")


def prepared(rows, preprocessing, expected):
    scale, mean, std, layout = preprocessing
    if (scale, mean, std) == (None, (0.0,), (1.0,)) and rows.dtype.kind == "f":
        return arranged(rows, expected, layout)
    if scale is None and rows.dtype.kind != "f":
        raise Refused("integers need a scale")
    found = rows.shape[1:]

    def spread(numbers):
        if len(numbers) == 1:
            return np.array(numbers)
        axes = [axis for axis in sorted({0, len(found) - 1}) if found[axis] == len(numbers)]
        if len(axes) == 2 and layout in ("nhwc", "nchw"):
            axes = axes[1:] if layout == "nhwc" else axes[:1]
        if len(axes) != 1:
            raise Refused("mean and std do not fit the rows")
        return np.array(numbers).reshape(-1, *(1,) * (len(found) - 1 - axes[0]))

    plain_scale = scale in (None, 1.0) and mean == (0.0,) and std == (1.0,)
    values = rows if plain_scale else (rows.astype(float) * (scale or 1.0) - spread(mean)) / spread(std)
    return arranged(values, expected, layout)


def labels_of(array, classes, start):
    if array.ndim == 2 and array.shape[1] > 1:
        if array.shape[1] > classes or not np.isin(array, (0, 1)).all() or not (array.sum(axis=1) == 1).all():
            raise Refused("the labels are not one class per row")
        return array.argmax(axis=1)
    if array.dtype.kind not in "iub":
        raise Refused("the labels are not integers")
    labels = array.reshape(-1).astype(np.int64) - start
    if labels.min() < 0 or labels.max() >= classes:
        raise Refused("a label is out of range")
    return labels


def fingerprint(rows, labels):
    digest = hashlib.sha256(f"{rows.dtype.str} {rows.shape}".encode())
    digest.update(np.ascontiguousarray(rows).tobytes())
    digest.update(f"<i8 {labels.shape}".encode() + labels.astype("<i8").tobytes())
    return digest.hexdigest()


# --- The statement ---------------------------------------------------------------------------------------------------

ASSUMPTIONS = [
    "The rows were drawn independently from what the statement is about; none was dropped.",
    "Delta, the kind of statement and how files are read were fixed before the rows were looked at.",
    "Several statements at once are all true with the probability that is left when their deltas are added up.",
    "A row counts as an error too if no logit leads the others by 2^-14 of the largest; new rows are judged alike.",
    "The format was fixed without these rows; its tables were tuned on nets for MNIST and CIFAR-10, for whose rows"
    " that is not quite so.",
]


def tail_at_most(errors, rows, p, delta, bits):
    """Whether P[Bin(m, p) <= k] <= delta 2^-bits, in integers: exact."""
    a, n = p.numerator, p.denominator
    term = comb(rows, errors) * a**errors * (n - a) ** (rows - errors)
    total = 0
    for j in range(errors, -1, -1):
        total += term
        term = term * j * (n - a) // ((rows - j + 1) * a)
    return total * delta.denominator << bits <= n**rows * delta.numerator


def require_bound(errors, rows, bits, delta, claimed):
    """The claimed bound holds, and is the smallest number of six digits that does."""
    p = Fraction(repr(claimed))
    if errors == rows:
        once_same("bound", claimed, 1.0)
        return
    if not Fraction(errors, rows) < p <= 1:
        raise Refused(f"bound: {claimed} is none")
    if p < 1 and not tail_at_most(errors, rows, p, delta, bits):
        raise Refused(f"bound: {claimed} is too small")
    unit = Fraction(1, 10**6)
    while p < unit * 10**5:
        unit /= 10
    if p - unit > Fraction(errors, rows) and tail_at_most(errors, rows, p - unit, delta, bits):
        raise Refused(f"bound: {claimed} is not the smallest of six digits")


def once_same(name, claimed, found):
    if claimed != found or type(claimed) is not type(found):
        raise Refused(f"{name}: it says {str(claimed)[:200]}, found {str(found)[:200]}")


def sentence(rows, delta, bound, vacuous):
    confidence = float(100 * (1 - delta))
    shown = f"{confidence:.10f}".rstrip("0").rstrip(".")
    percent = -(-Fraction(repr(bound)) * 1000 // 1)
    text = (
        f"If these {rows:,} rows were drawn at random, then with a confidence of {shown} % this network errs on at most"
        f" {int(percent) // 10}.{int(percent) % 10} % of new rows drawn in the same way."
    )
    return f"{text} That is no better than chance: the statement is vacuous." if vacuous else text


def read_document(path):
    data = path.read_bytes()
    try:
        document = json.loads(data)
        checksum = document.pop("checksum")
    except (ValueError, KeyError, AttributeError, RecursionError) as error:
        raise Refused("certificate.json: it is no canonical JSON") from error

    def canonical(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()

    try:
        same = canonical({**document, "checksum": checksum}) == data
    except ValueError as error:
        raise Refused("certificate.json: it is no canonical JSON") from error
    if not same or hashlib.sha256(canonical(document)).hexdigest() != checksum:
        raise Refused("certificate.json: it is not in its canonical form, or its checksum is wrong")
    return document


def verify(folder, data, x_key=None, y_key=None, labels_start=0, delta="0.05", *, repeated_rows=False):
    """The words of the verdict.

    Raises:
        Refused, Declined.
    """
    names = {path.name: path for path in Path(folder).iterdir()}
    for name, path in names.items():
        optional = name in ("decoded_int4.onnx", "decoded_int8.onnx")
        if path.is_symlink() or not (optional or name in ("certificate.json", "code.bin", "decoded.onnx")):
            raise Refused(f"{name}: it is no part of a certificate")
    for name in ("certificate.json", "code.bin", "decoded.onnx"):
        if name not in names:
            raise Refused(f"{name}: it is missing")
    document = read_document(names["certificate.json"])
    once_same("schema", document.get("schema"), "onnxbound.certificate/2")
    if document.get("object") != "compressed":
        raise Declined(f"the object is {document.get('object')!r}")
    allowed = Fraction(delta)
    once_same("delta", document.get("delta"), float(allowed))
    content = names["code.bin"].read_bytes()
    entry = document.get("code")
    claimed = entry.get("sha256") if isinstance(entry, dict) else None
    once_same("code.sha256", claimed, hashlib.sha256(content).hexdigest())
    preprocessing, nodes, shapes = read_code(content)
    classes = shapes[-1][0]
    with np.load(data, allow_pickle=False) as arrays:
        keys = (
            key_of(arrays, X_NAMES, x_key, lambda _: True, "inputs"),
            key_of(arrays, Y_NAMES, y_key, lambda found: found.dtype.kind in "iub", "labels"),
        )
        rows, targets = arrays[keys[0]], arrays[keys[1]]
    if keys[0] == keys[1] or len(rows) != len(targets):
        raise Refused("the labels are not those of the rows")
    labels = labels_of(targets, classes, labels_start)
    m, bits = len(rows), 8 * len(content)
    distinct = len({hashlib.blake2b(row.astype(float).tobytes(), digest_size=16).digest() for row in rows})
    if 2 * distinct < m and not repeated_rows:
        raise Refused(f"{m} rows have {distinct} different values")
    errors = document.get("errors")
    if type(errors) is not int or not 0 <= errors <= m:
        raise Refused(f"errors: {errors!r} is no count")
    commonest = int(np.bincount(labels).max())
    chance = float(min(1 - Fraction(1, classes), 1 - Fraction(commonest, m)))
    bound = document.get("bound")
    if type(bound) is not float:
        raise Refused("bound: it is no number")
    require_bound(errors, m, bits, allowed, bound)
    vacuous = Fraction(repr(bound)) >= min(1 - Fraction(1, classes), 1 - Fraction(commonest, m))
    expected = {
        "schema": "onnxbound.certificate/2",
        "statement": sentence(m, allowed, bound, vacuous),
        "object": "compressed",
        "assumptions": ASSUMPTIONS,
        "rows": m,
        "errors": errors,
        "bits": bits,
        "delta": float(allowed),
        "delta_ledger": [{"event": "the error of the network on the rows", "delta": float(allowed)}],
        "disagreements": None,
        "bound": bound,
        "vacuous": vacuous,
        "chance": chance,
        "classes": classes,
        "code": {
            "sha256": hashlib.sha256(content).hexdigest(),
            "decoder_version": 2,
            "architecture": architecture_in_words(nodes, shapes[0]),
            "decoded_sha256": hashlib.sha256(names["decoded.onnx"].read_bytes()).hexdigest(),
        },
        "inputs": [{"role": "data", "sha256": fingerprint(rows, labels), "rows": m, "total": m}],
        "preprocessing": preprocessing_in_words(preprocessing),
        "reading": {"labels_start": labels_start},
        "model": None,
    }
    for name in (*expected, *document):
        if name not in expected or name not in document:
            raise Refused(f"{name}: an entry more or less")
        once_same(name, document[name], expected[name])
    found = 0
    for start in range(0, m, 250):
        part = prepared(rows[start : start + 250], preprocessing, shapes[0])
        with np.errstate(over="ignore", invalid="ignore"):
            logits = logits_of(nodes, shapes, part)
        own = logits[np.arange(len(part)), labels[start : start + 250]]
        others = logits.copy()
        others[np.arange(len(part)), labels[start : start + 250]] = -np.inf
        with np.errstate(invalid="ignore"):
            right = own - others.max(axis=1) > 2.0**-14 * np.abs(logits).max(axis=1)
        found += int(np.sum(~(right & np.isfinite(logits).all(axis=1))))
    if found > errors:
        raise Refused(f"errors: it says {errors}, found {found} in float64")
    lines = ["The certificate verifies.", "", expected["statement"], ""]
    lines.append(
        f"  {keys[0]} {rows.shape} and {keys[1]}, {distinct:,} distinct rows, sha256 {expected['inputs'][0]['sha256']}"
    )
    lines.append(f"  {found:,} errors counted here, {errors:,} are claimed; {bits:,} bits")
    lines += [f"  {expected['code']['architecture']}", f"  {expected['preprocessing']}", "", "It assumes:"]
    return "\n".join(lines + [f"  - {text}" for text in ASSUMPTIONS])


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--data", required=True)
    parser.add_argument("--x-key")
    parser.add_argument("--y-key")
    parser.add_argument("--labels-start", type=int, default=0)
    parser.add_argument("--delta", default="0.05")
    parser.add_argument("--repeated-rows", action="store_true")
    given = parser.parse_args()
    try:
        words = verify(
            given.folder, given.data, given.x_key, given.y_key, given.labels_start, given.delta,
            repeated_rows=given.repeated_rows,
        )  # fmt: skip
    except Refused as error:
        print(f"The certificate does not verify: {error}.")
        return 1
    except Declined as error:
        print(f"This program does not cover it: {error}.")
        return 2
    print(words)
    return 0


if __name__ == "__main__":
    sys.exit(main())
