"""A second verifier of onnxbound's certificates, which shares no line with the first.

    python verify_certificate.py DIR --data ROWS.npz [--x-key KEY] [--y-key KEY] [--labels-start N] [--delta D]

It needs Python and NumPy, and nothing else: no ONNX, no onnxruntime, none of onnxbound. It reads `code.bin` as
`certificate-format.md` says, evaluates the network in float64 and float32, counts the errors and checks the bound in
exact rational arithmetic. It covers the object "compressed" of networks of the usual piecewise linear operators;
anything else it names and declines. Exit code: 0 verified, 1 refused, 2 declined. What is proved is about the network
in the code: of `decoded.onnx` only the hash is compared, and its network is not read. How much memory and time a
network needs is checked before it is run.
"""

import argparse
import hashlib
import json
import stat
import sys
import zipfile
from bisect import bisect, bisect_left
from decimal import Decimal, InvalidOperation, localcontext
from fractions import Fraction
from functools import reduce
from itertools import groupby
from math import comb, cos, factorial, pi, prod, sqrt
from pathlib import Path

import numpy as np

INTEGER_FILES = ("decoded_int4.onnx", "decoded_int8.onnx")
MOST_NUMBERS, MOST_WORK = 1 << 29, 1 << 43  # what is evaluated here: up to 4 GiB, and an hour or so


class Refused(Exception):
    """The certificate does not verify."""


class Declined(Exception):
    """The certificate is of a kind that this program does not cover."""


def require(holds, why):
    if not holds:
        raise Refused(why)


def once(holds, why):
    """Refuse a code that has a shorter spelling, or cannot be."""
    require(holds, f"code.bin: {why}")


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
            once(self.place <= len(self.data) + 4, "the code ends too early")
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


SQUASH = squash_table()
STRETCH = [max(bisect(SQUASH, p) - 1, 0) - 2047 for p in range(0, ONE, 16)]

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
        once(length <= 40, "a number is too long")
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
    once(value not in values, "a value is not in its shortest form")
    return value


def count_of(c):
    power = usual(c, range(13), (3, 3, 6, 6, 5, 4, 4, 3, 2, 1, 1, 1, 1, 1))
    once(power <= 40, "a length is too large")
    return (2 * natural(c) + 1) << power


def alike(c, axes, values, weights):
    if axes == 1 or flag(c, 15, 1):
        return (usual(c, values, weights),) * axes
    found = tuple(usual(c, values, weights) for _ in range(axes))
    once(len(set(found)) > 1, "equal lengths are written one by one")
    return found


def number(c):
    form = choice(c, (8, 4, 4))
    if form == 2:
        value = float(np.uint32(plain(c, 32)).view(np.float32))
        once(spelled(value)[0] == 2, "a number is not in its shortest form")
    else:
        size = natural(c)
        if size and flag(c, 1, 3):
            size = -size
        power = integer(c)
        once(abs(size) <= 10_000 and abs(power) <= 16 and (form == 0 or power > 0), "a number is out of range")
        value = float(np.float32(size * 2.0**-power if form == 0 else size / 10**power))
        once(spelled(value) == (form, size, power), "a number is not in its shortest form")
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


def read_preprocessing(c):
    layout = (None, "nhwc", "flat", "nchw")[choice(c, (10, 4, 1, 1))]
    place = choice(c, (5, 8, 2, 1))
    scale = SCALES[place] if place < 3 else number(c)
    means = flag(c, 7, 9)
    stds = flag(c, *((7, 1) if means else (1, 7)))
    mean, std = (0.0,), (1.0,)
    if means or stds:
        digits = usual(c, (6, 5, 7, 8, 4), (8, 2, 2, 2, 1, 1))
        once(digits <= 16, "preprocessing has too many binary places")
        mean = read_shares(c, digits, 0) if means else mean
        std = read_shares(c, digits, 1) if stds else std
        binary = [value for value in (*mean, *std) if 0 <= value <= 1 and value * (1 << 16) % 1 == 0]
        least = min(k for k in range(17) if all(value * (1 << k) % 1 == 0 for value in binary))
        once(digits == least, "preprocessing has more binary places than it needs")
    long_way = (place == 3 and scale in SCALES) or (means and mean == (0.0,)) or (stds and std == (1.0,))
    once(not long_way and scale != 0 and 0 not in std, "preprocessing is not in its shortest form, or divides by 0")
    return scale, mean, std, layout


def read_shares(c, digits, least):
    count = usual(c, (1, 3), (5, 10, 1))
    once(1 <= count <= 1 << 12, "a mean or a standard deviation has no number, or too many")
    found = []
    for _ in range(count):
        if flag(c, 15, 1):
            found.append((plain(c, digits) + least) / (1 << digits))
        else:
            found.append(number(c))
            scaled = found[-1] * (1 << digits)
            near = least <= scaled < least + (1 << digits) and scaled % 1 == 0
            once(not near, "preprocessing is not in its shortest form")
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
LARGEST_ROW, LARGEST_WORK = 1 << 26, 1 << 33


class Node:
    """An operator: its word, the tensors it reads, its settings, and the shapes of the tensors it has itself."""

    def __init__(self, word, inputs):
        self.word, self.inputs = word, inputs
        self.holes = []  # (name, shape)
        self.tensors, self.kernel = {}, ()
        self.padded = self.taps = self.products = 0


def read_architecture(c):
    classes = usual(c, (10, 2, 100, 1000, 3), (8, 2, 2, 1, 1, 2))
    once(classes >= 2, "a classifier has at least two classes")
    shapes, nodes, unread, work, numbers = [read_input_shape(c)], [], {0}, 0, 0
    mirrored = len(shapes[0]) == 3 and flag(c, 1, 7)
    reads, held = 0, (1 + mirrored) * prod(shapes[0])
    while True:
        last = len(nodes)
        complete = last > 0 and unread == {last} and shapes[-1] == (classes,)
        before = nodes[-1].word if nodes else ""
        key = "gate" if before in ("Relu", "LeakyRelu", "Clip", "Smooth") else before
        likely = FOLLOWING.get(key, FOLLOWING["other"])
        place = choice(c, [*(likely.get(word, 1) for word in WORDS), likely.get("end", 1) if complete else 0])
        if place == len(WORDS):
            return nodes, shapes, mirrored
        word = WORDS[place]
        if word not in READ:
            raise Declined(f"the network has the operator {word}")
        node = Node(word, read_inputs(c, 0 if word in ("Add", "Concat") else 1, last, unread))
        unread -= set(node.inputs)
        given = [shapes[k] for k in node.inputs]
        shapes.append(READ[word](c, node, given, classes))
        nodes.append(node)
        unread.add(last + 1)
        work += (1 + mirrored) * (sum(map(prod, (*given, shapes[-1]))) + node.products)
        numbers += sum(prod(shape) for _, shape in node.holes)
        reads, held = reads + len(node.inputs), held + (1 + mirrored) * prod(shapes[-1])
        fits = prod(shapes[-1]) <= LARGEST_ROW and held <= 1 << 27 and work <= LARGEST_WORK and reads <= 1 << 14
        once(fits, "a row of the network would take too much memory or time")
        once(numbers <= 1 << 22, "the network has too many numbers")


def read_input_shape(c):
    if flag(c, 3, 1):
        channels = usual(c, (1, 3), (7, 8, 1))
        side = usual(c, (32, 28, 224, 64, 96), (6, 6, 1, 1, 1, 1))
        once(0 < channels * side * side <= LARGEST_ROW, "a row is empty or too large")
        return channels, side, side
    found = read_shape(c)
    long_way = len(found) == 0 or (len(found) == 3 and found[1] == found[2])
    once(not long_way, "the shape of a row is not in its shortest form")
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
    found, fresh = [], sorted(unread)
    for place in range(count):
        away = 0 if last == 0 or (place == 0 and flag(c, 27, 5)) else (place == 0) + natural(c)
        once(away <= last, "an operator reads a tensor that does not exist")
        if away < len(fresh):
            found.append(fresh.pop(-1 - away))
        else:
            # Of the others, last - away are older.
            found.append(bisect(range(last + 1), last - away, key=lambda k: k + 1 - bisect(fresh, k)))
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
    once(not (pool and not tiled and strides == kernel), "the strides of a pool are not in their shortest form")
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
    node.padded, node.taps = shape[0] * prod(padded), shape[0] * prod(kernel) * prod(output)
    once(min(output) >= 1 and max(node.padded, node.taps) <= LARGEST_ROW, "the windows hold too many numbers")
    once(again == output, "the windows do not fit their input")
    narrow = all(max(b, e) < k for b, e, k in zip(begin, reach, kernel, strict=True))
    once(not pool or narrow, "the padding of a pool is not narrower than its kernel")
    node.kernel, node.strides, node.dilations, node.begin, node.end = kernel, strides, dilations, begin, reach
    node.size, node.output, node.products = size, output, node.taps


def one_of(c, tuples, weights, least):
    distinct = list(dict.fromkeys(tuples))
    place = choice(c, (*weights[: len(distinct)], weights[-1]))
    if place < len(distinct):
        return distinct[place]
    found = tuple(natural(c) + least for _ in tuples[0])
    once(found not in distinct and max(found) <= LARGEST_ROW, "padding is not in its shortest form, or too large")
    return found


def read_conv(c, node, given, _):
    once(len(given[0]) > 0, "a Conv reads a single number")
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
    node.products = prod(node.holes[0][1]) * prod(node.output)
    return (units, *node.output)


def read_dense(c, node, given, classes):
    once(len(given[0]) > 0, "a dense layer reads a single number")
    units = classes if flag(c, 1, 1) else unusual(count_of(c), (classes,))
    once(units * prod(given[0]) <= LARGEST_ROW, "a weight is too large")
    node.holes.append(("weight", (units, given[0][-1])))
    node.products = units * prod(given[0])
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
    once(target != flat and prod(target) == prod(given[0]), "a shape is not in its shortest form, or does not fit")
    return target


def read_add(c, node, given, _):
    node.signs = (1,) * len(given)
    if not flag(c, 15, 1):
        node.signs = tuple(1 if flag(c, 1, 1) else -1 for _ in given)
        once(min(node.signs) < 0, "signs are not in their shortest form")
    once(len(set(given)) == 1, "activations of different shapes are added")
    return given[0]


def read_mean(c, node, given, _):
    rank = len(given[0])
    node.axes = tuple(range(1, rank))
    if not flag(c, 7, 1):
        asked = [flag(c, 1, 1) for _ in range(rank)]
        found = tuple(axis for axis in range(rank) if asked[axis])
        once(found != node.axes, "the axes of a mean are not in their shortest form")
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
        once(node.tensors[name] != absent, "a number is written that equals its default")
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
    others = {(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in given}
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


def architecture_in_words(nodes, input_shape, mirrored):
    said = ["x".join(map(str, input_shape)) + " and its mirror image" * mirrored]
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
        self.parent, self.count, self.fixed, self.rows = [], [], set(), []

    def new(self, count):
        self.parent.append(len(self.parent))
        self.count.append(count)
        return len(self.parent) - 1

    def root(self, k):
        while self.parent[k] != k:
            k = self.parent[k] = self.parent[self.parent[k]]
        return k

    def fix(self, given):
        self.fixed |= {k for k in given if k is not None}


def unit_sets(nodes, shapes, places):
    """The first of the holes whose first axis they are, and how many they are."""
    sets, units = Sets(), [None]
    for number_, node in enumerate(nodes):
        given = [units[k] for k in node.inputs]
        own = [(name, shape, places[number_, name]) for name, shape in node.holes]
        units.append(followed(sets, node, given, shapes[node.inputs[0]], own))
    sets.fix(units[-1:])
    fixed = {sets.root(k) for k in sets.fixed}
    leaders = {}
    for k, hole in sorted(sets.rows, key=lambda pair: pair[1]):
        if (root := sets.root(k)) not in fixed and 1 < sets.count[root] <= 1 << 14:
            leaders.setdefault(root, hole)
    return {hole: sets.count[root] for root, hole in leaders.items()}


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
        if word == "Conv" and not along:
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
    return bisect_left((0, 1, 3, 6, 10, 16, 22), share)


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
    levels = np.array(result, np.int64).reshape(filters, channels, height, width)
    once(levels.max(initial=0) < 1 << 24, "an integer of a tensor is too large")
    return levels


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
    part, filters = Part(shape), (*shape, 1, 1, 1)[:4]
    if len(shape) > 2:
        filters = (*shape[:2], prod(shape[2:-1]), shape[-1])
    if not c.fixed(1 << 12):
        if len(shape) > 2 and prod(shape[2:]) > 1:
            part.cosine = bool(c.fixed(1 << 10))
        before = part.step = read_step(c, before)
        part.levels = read_sizes(c, place, *filters)
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
    before = part.step = read_step(c, before)
    part.levels = read_sizes(c, place, rank, *filters[1:])
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
    """Preprocessing, nodes with their tensors, shapes, whether the mirror image is seen too."""
    once(data[:1] == b"\2", f"the code is of format {data[0] if data else 0}, and this program reads format 2")
    once(len(data) <= 1 << 22, "the code is too long")
    bits = "".join(f"{byte:08b}" for byte in data[1:])
    c = Coder(bits)
    once(not c.fixed(1 << 12), "it is a difference from a prior, which is another object")
    preprocessing = read_preprocessing(c)
    nodes, shapes, mirrored = read_architecture(c)
    holes = [(k, name, shape) for k, node in enumerate(nodes) for name, shape in node.holes]
    places = {(k, name): place for place, (k, name, _) in enumerate(holes)}
    leaders = unit_sets(nodes, shapes, places)
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
    return preprocessing, nodes, shapes, mirrored


def sort_units(part, count, carried, every):
    """Put the rows in order; what their order in the file was worth is added to the number that is carried."""
    if part.values is not None:
        sizes = part.values.view(np.uint32).astype(np.int64)
    else:
        sizes = part.levels if part.left is None else part.left
    rows = [tuple(row) for row in sizes.reshape(count, -1).tolist()]
    looks = {row: k for k, row in enumerate(sorted(set(rows)))}
    groups = [looks[row] for row in rows]
    counts = np.bincount(groups).tolist()
    order = sorted(range(count), key=lambda k: groups[k])
    if part.values is not None:
        part.values = part.values[order]
    elif part.left is not None:
        part.left = part.left[order]
    else:
        part.levels = part.levels[order]
    return carried + every * rank_of(groups, counts), every * arrangements(counts)


# --- Evaluation, in the type of the rows that are given --------------------------------------------------------------


def windows(node, x, value):
    """The padded entries under each tap of each window, (n, channels, *kernel, *output), as a view."""
    padded = np.pad(x, [(0, 0), (0, 0), *zip(node.begin, node.end, strict=True)], constant_values=value)
    apart, shape = padded.strides, (*x.shape[:2], *node.kernel, *node.output)
    steps = [n * s for by in (node.dilations, node.strides) for n, s in zip(by, apart[2:], strict=True)]
    return np.lib.stride_tricks.as_strided(padded, shape, (*apart[:2], *steps), writeable=False)


def evaluate(node, x):
    t, first = node.tensors, x[0]
    word, kernel, kind = node.word, tuple(range(2, first.ndim)), first.dtype
    if word == "Dense":
        return first @ t["weight"].astype(kind).T + t.get("bias", np.zeros(1)).astype(kind)
    if word == "Conv":
        weight, n = t["weight"].astype(kind), len(first)
        groups, units = node.groups, weight.shape[0]
        patches = windows(node, first, 0.0).reshape(n, groups, -1, prod(node.output))
        total = np.matmul(weight.reshape(groups, units // groups, -1), patches)
        bias = t.get("bias", np.zeros(units)).astype(kind)
        return total.reshape(n, units, *node.output) + bias.reshape(-1, *(1,) * len(node.output))
    if word == "Relu":
        return np.maximum(first, 0)
    if word == "MaxPool":
        taps = windows(node, first, -np.inf)
        return reduce(np.maximum, (taps[:, :, *place] for place in np.ndindex(*node.kernel)))  # faster than by windows
    if word == "AveragePool":
        counts = windows(node, np.ones((1, 1, *node.size), kind), float(node.counted)).sum(axis=kernel)
        return windows(node, first, 0.0).sum(axis=kernel) / counts
    if word == "Add":
        return sum(sign * value for sign, value in zip(node.signs, x, strict=True))
    if word == "Mean":
        return first.mean(axis=tuple(axis + 1 for axis in node.axes), keepdims=node.keep)
    if word == "LeakyRelu":
        return np.where(first > 0, first, np.asarray(t["negative_slope"], kind) * first)
    if word == "Clip":
        return np.minimum(np.maximum(first, node.low), node.high)
    if word == "ElementwiseAffine":
        return first * np.asarray(t["scale"], kind) + np.asarray(t["shift"], kind)
    if word == "Concat":
        return np.concatenate(x, axis=node.axis + 1)
    if word == "Transpose":
        return first.transpose(0, *(axis + 1 for axis in node.order))
    assert word == "Pad"
    return np.pad(first, [(0, 0), *zip(node.begin, node.end, strict=True)], constant_values=node.value)


def memory_and_work(nodes, shapes):
    """For one row: the numbers held at a time, and the products; a number moved counts for 64, a tap for 2^12."""
    last = {j: k for k, node in enumerate(nodes) for j in node.inputs}
    largest, live, work = 0, prod(shapes[0]), 0
    for k, node in enumerate(nodes):
        own = 2 * prod(shapes[k + 1]) + node.padded + node.taps
        live += prod(shapes[k + 1])
        largest, work = max(largest, live + own), work + node.products + 64 * own + (prod(node.kernel) << 12)
        live -= sum(prod(shapes[j]) for j in set(node.inputs) if last[j] == k)
    return largest, work


def logits_of(nodes, shapes, rows):
    values = {0: rows}
    last = {j: k for k, node in enumerate(nodes) for j in node.inputs}
    for k, node in enumerate(nodes):
        given = [values[j] for j in node.inputs]
        if node.word == "Reshape":
            values[k + 1] = given[0].reshape(len(rows), *shapes[k + 1])
        else:
            values[k + 1] = evaluate(node, given)
        for j in {j for j in node.inputs if last[j] == k}:
            del values[j]
    return values[len(nodes)]


# --- Rows ------------------------------------------------------------------------------------------------------------

X_NAMES, Y_NAMES = ("x", "X", "images", "data", "inputs", "image"), ("y", "Y", "labels", "label", "targets")


def read_rows(path, x_key, y_key):
    """The keys of inputs and labels in an npz file, and the two arrays."""
    regular(path, path, 1 << 40)
    try:
        with zipfile.ZipFile(path) as archive:
            moderate = all(info.file_size <= max(1 << 28, 200 * info.compress_size) for info in archive.infolist())
        require(moderate, f"{path}: it unpacks to far more than it is")
        with np.load(path, allow_pickle=False) as arrays:
            keys = key_of(arrays, X_NAMES, x_key, "fiub", "inputs"), key_of(arrays, Y_NAMES, y_key, "iub", "labels")
            rows, labels = arrays[keys[0]], arrays[keys[1]]
    except Refused:
        raise
    except Exception as error:  # whatever zipfile, zlib and the parser of headers say of bytes that are no arrays
        raise Refused(f"{path}: it is no npz file of numbers: {error}") from error
    require(rows.ndim > 0 and len(rows) > 0 and rows.dtype.kind in "fiub", "the inputs are no rows of numbers")
    require(keys[0] != keys[1] and labels.shape[:1] == rows.shape[:1], "the labels are not those of the rows")
    return keys, rows, labels


def key_of(arrays, names, wanted, kinds, what):
    if wanted is not None:
        require(wanted in arrays, f"the file has no array {wanted!r}")
        return wanted
    for tier in ([f"{name}_train" for name in names], names):
        there = [key for key in tier if key in arrays]
        fitting = there if len(there) == 1 or what == "inputs" else [k for k in there if arrays[k].dtype.kind in kinds]
        if there:
            require(len(fitting) == 1, f"the {what} cannot be told apart in the file: name them by --x-key and --y-key")
            return fitting[0]
    raise Refused(f"the file has no {what} of a usual name: name them by --x-key and --y-key")


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
    require(layout != "flat" and same(found), f"the rows have the shape {found}, the network takes {expected}")
    return rows.reshape(len(rows), *expected)


def prepared(rows, preprocessing, expected):
    """Rows of the file as the network takes them, in float32."""
    scale, mean, std, layout = preprocessing
    found = rows.shape[1:]
    require(scale is not None or rows.dtype.kind == "f", "integers need a scale")

    def spread(numbers):
        if len(numbers) == 1:
            return np.array(numbers)
        axes = [axis for axis in sorted({0, len(found) - 1}) if found and found[axis] == len(numbers)]
        if len(axes) == 2 and layout in ("nhwc", "nchw"):
            axes = axes[1:] if layout == "nhwc" else axes[:1]
        require(len(axes) == 1, "mean and std do not fit the rows")
        return np.array(numbers).reshape(-1, *(1,) * (len(found) - 1 - axes[0]))

    with np.errstate(over="ignore", invalid="ignore"):
        if scale not in (None, 1.0) or mean != (0.0,) or std != (1.0,):
            rows = (rows.astype(float) * (1.0 if scale is None else scale) - spread(mean)) / spread(std)
        rows = arranged(rows, expected, layout).astype(np.float32)
    require(np.isfinite(rows).all(), "a row holds NaN or infinity")
    return rows


def labels_of(array, classes, start):
    if array.ndim == 2 and array.shape[1] > 1:
        once_each = array.shape[1] <= classes and np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all()
        require(once_each, "the labels are not one class per row")
        return array.argmax(axis=1)
    require(array.dtype.kind in "iub" and array.size == len(array), "the labels are not one integer per row")
    fit = start <= int(array.min()) and int(array.max()) < start + classes and abs(start) <= 1 << 31
    require(fit, "a label is out of range")
    return array.reshape(-1).astype(np.int64) - start


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


def tail_below(errors, rows, p, delta, bits):
    """Whether P[Bin(m, p) <= k] < delta 2^-bits, in integers: exact."""
    a, n = p.numerator, p.denominator
    term = comb(rows, errors) * a**errors * (n - a) ** (rows - errors)
    total = 0
    for j in range(errors, -1, -1):
        total += term
        term = term * j * (n - a) // ((rows - j + 1) * a)
    return total * delta.denominator << bits < n**rows * delta.numerator


def require_bound(errors, rows, bits, delta, claimed):
    """The claimed bound holds, and is the smallest number of six digits that does."""
    p, unit = Fraction(repr(claimed)), Fraction(1, 10**6)
    if errors == rows:
        once_same("bound", claimed, 1.0)
        return
    require(Fraction(errors, rows) < p <= 1, f"bound: {claimed} is none")
    while p < unit * 10**5:
        unit /= 10
    require(p % unit == 0, f"bound: {claimed} has more than six digits")
    require(p == 1 or tail_below(errors, rows, p, delta, bits), f"bound: {claimed} is too small")
    smaller = p - unit > Fraction(errors, rows) and tail_below(errors, rows, p - unit, delta, bits)
    require(not smaller, f"bound: {claimed} is not the smallest of six digits")


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def once_same(name, claimed, found):
    """Equal, and of equal types at every depth."""
    for key in found if isinstance(found, dict) and isinstance(claimed, dict) else ():
        once_same(f"{name}.{key}", claimed.get(key), found[key])
    require(canonical(claimed) == canonical(found), f"{name}: it says {str(claimed)[:200]}, found {str(found)[:200]}")


def delta_of(text):
    """A probability in decimal, as the shortest digits of its double say it."""
    try:
        delta = Decimal(repr(float(Decimal(text))))
    except (InvalidOperation, OverflowError, ValueError):
        delta = Decimal(0)
    require(delta.is_finite() and 0 < delta < 1, f"delta: {text!r} is no number between 0 and 1")
    return delta


def sentence(rows, delta, bound, vacuous):
    with localcontext(prec=2000):  # exact: the shortest double has 340 places
        confidence = f"{(100 * (1 - delta)).normalize():f}"
    percent = -(-Fraction(repr(bound)) * 1000 // 1)
    text = (
        f"If these {rows:,} rows were drawn at random, then with a confidence of {confidence} % this network errs on at"
        f" most {int(percent) // 10}.{int(percent) % 10} % of new rows drawn in the same way."
    )
    return f"{text} That is no better than chance: the statement is vacuous." if vacuous else text


def printable(text):
    """What comes from files, without the characters that a terminal obeys."""
    return "".join(letter if " " <= letter <= "~" else ascii(letter)[1:-1] for letter in text)


def regular(path, name, most):
    """Refuse what is no file, as a link or a pipe, or is too large."""
    try:
        found = Path(path).lstat() if path != name else Path(path).stat()
    except (OSError, ValueError) as error:
        raise Refused(f"{name}: it cannot be read") from error
    require(stat.S_ISREG(found.st_mode), f"{name}: it is no file")
    require(found.st_size <= most, f"{name}: it has more than {most:,} bytes")


def read_folder(folder):
    """The content of each file of a certificate, by its name."""
    most = {"certificate.json": 1 << 20, "code.bin": 1 << 22, "decoded.onnx": 1 << 28}
    found = {}
    try:
        for path in sorted(Path(folder).iterdir()):
            require(path.name in most or path.name in INTEGER_FILES, f"{path.name}: it is no part of a certificate")
            regular(path, path.name, most.get(path.name, 1 << 28))
            found[path.name] = path.read_bytes()
    except (OSError, ValueError) as error:
        raise Refused(f"{folder}: it cannot be read: {error}") from error
    for name in most:
        require(name in found, f"{name}: it is missing")
    return found


def read_document(data):
    try:
        document = json.loads(data)
        require(isinstance(document, dict), "certificate.json: it is no object")
        same = canonical(document) == data
        checksum = document.pop("checksum", None)
        same = same and hashlib.sha256(canonical(document)).hexdigest() == checksum
    except (ValueError, RecursionError) as error:
        raise Refused("certificate.json: it is no canonical JSON") from error
    require(same, "certificate.json: it is not in its canonical form, or its checksum is wrong")
    return document


def verify(folder, data, x_key=None, y_key=None, labels_start=0, delta="0.05", *, repeated_rows=False):
    """The words of the verdict.

    Raises:
        Refused, Declined.
    """
    delta = delta_of(delta)
    files = read_folder(folder)
    document, content = read_document(files["certificate.json"]), files["code.bin"]
    once_same("schema", document.get("schema"), "onnxbound.certificate/2")
    if document.get("object") in ("holdout", "original_unlabelled", "prior"):
        raise Declined(f"the object is {document['object']}")
    named, sha256 = document.get("code"), hashlib.sha256(content).hexdigest()
    once_same("code.sha256", named.get("sha256") if isinstance(named, dict) else None, sha256)
    preprocessing, nodes, shapes, mirrored = read_code(content)
    classes, bits = shapes[-1][0], 8 * len(content)
    keys, rows, targets = read_rows(data, x_key, y_key)
    labels, m = labels_of(targets, classes, labels_start), len(rows)
    distinct = len({hashlib.blake2b(row.astype(float).tobytes(), digest_size=16).digest() for row in rows})
    require(2 * distinct >= m or repeated_rows, f"{m} rows have {distinct} different values")
    errors, bound = document.get("errors"), document.get("bound")
    require(type(errors) is int and 0 <= errors <= m, f"errors: {str(errors)[:200]} is no count")
    require(type(bound) is float, "bound: it is no number")
    require_bound(errors, m, bits, Fraction(delta), bound)
    chance = min(1 - Fraction(1, classes), 1 - Fraction(int(np.bincount(labels).max()), m))
    vacuous = Fraction(repr(bound)) >= chance
    inputs = {"role": "data", "sha256": fingerprint(rows, labels), "rows": m, "total": m}
    words = architecture_in_words(nodes, shapes[0], mirrored)
    decoded = hashlib.sha256(files["decoded.onnx"]).hexdigest()
    code = {"sha256": sha256, "decoder_version": 2, "architecture": words, "decoded_sha256": decoded}
    expected = {
        "schema": "onnxbound.certificate/2", "statement": sentence(m, delta, bound, vacuous), "object": "compressed",
        "assumptions": ASSUMPTIONS, "rows": m, "errors": errors, "bits": bits, "delta": float(delta),
        "delta_ledger": [{"event": "the error of the network on the rows", "delta": float(delta)}],
        "disagreements": None, "bound": bound, "vacuous": vacuous, "chance": float(chance), "classes": classes,
        "code": code, "inputs": [inputs], "preprocessing": preprocessing_in_words(preprocessing),
        "reading": {"labels_start": labels_start}, "model": None,
    }  # fmt: skip
    for name in (*expected, *document):
        require(name in expected and name in document, f"{name}: an entry more or less")
        once_same(name, document[name], expected[name])
    found = count_errors(nodes, shapes, mirrored, preprocessing, rows, labels)
    require(found <= errors, f"errors: it says {errors}, found {found} in float64 and float32")
    lines = ["The certificate verifies.", "", expected["statement"], ""]
    lines += [f"  {name} is NOT checked here, but by onnxbound verify" for name in sorted(files) if "_int" in name]
    lines.append("  decoded.onnx is the file that it names; onnxbound verify checks whether it computes the same")
    lines.append(f"  {keys[0]} {rows.shape} and {keys[1]}, {distinct:,} distinct rows, sha256 {inputs['sha256']}")
    lines.append(f"  {found:,} errors counted here, {errors:,} are claimed; {bits:,} bits")
    lines += [f"  {words}", f"  {expected['preprocessing']}", "", "It assumes:"]
    return "\n".join(map(printable, lines + [f"  - {text}" for text in ASSUMPTIONS]))


@np.errstate(over="ignore", invalid="ignore")
def count_errors(nodes, shapes, mirrored, preprocessing, rows, labels):
    """Rows that are not clearly decided for their label; in pieces, so that memory does not grow with their number."""
    numbers, work = memory_and_work(nodes, shapes)
    if numbers > MOST_NUMBERS or (1 + mirrored) * work * len(rows) > MOST_WORK:
        raise Declined(f"it would hold {numbers:,} numbers at once, and take {work:,} products for each row")
    found, step = 0, min(250, max(1, (1 << 24) // numbers))
    for start in range(0, len(rows), step):
        sys.stderr.write(f"{start:,} of {len(rows):,} rows\r" * sys.stderr.isatty())
        given = prepared(rows[start : start + step], preprocessing, shapes[0])
        each, own, right = np.arange(len(given)), labels[start : start + step], np.ones(len(given), bool)
        for kind in (np.float64, np.float32):  # what is right in one of them alone is decided by rounding
            width = -2 if shapes[0][0] > shapes[0][-1] else -1  # channels are last, or first
            views = (given.astype(kind), np.flip(given, width).astype(kind))[: 1 + mirrored]
            logits = (sum(logits_of(nodes, shapes, view) for view in views) * kind(1 / len(views))).astype(float)
            lead = logits[each, own] - np.where(np.eye(logits.shape[1], dtype=bool)[own], -np.inf, logits).max(axis=1)
            right &= lead > 2.0**-14 * np.abs(logits).max(axis=1)  # NaN and infinity: false
        found += int(np.sum(~right))
    return found


def main():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("--data", required=True)
    for flag_ in ("--x-key", "--y-key"):
        parser.add_argument(flag_)
    parser.add_argument("--labels-start", type=int, default=0)
    parser.add_argument("--delta", default="0.05")
    parser.add_argument("--repeated-rows", action="store_true")
    try:
        print(verify(**vars(parser.parse_args())))
    except Declined as error:
        print(f"This program does not cover it: {printable(str(error))}.")
        return 2
    except Exception as error:  # noqa: BLE001 - an error of this program is no proof either
        why = str(error) if isinstance(error, Refused) else f"this program fails, {error!r}"
        print(f"The certificate does not verify: {printable(why)}.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
