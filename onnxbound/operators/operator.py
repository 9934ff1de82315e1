"""The interface of every operator: what it computes of arrays, and writes as ONNX of symbols."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from numpy.typing import DTypeLike

from onnxbound.operators.calculus import Tensor
from onnxbound.operators.shape import Array, Shape

__all__ = ["Affine", "Array", "Operator", "Shape", "Tensor", "Unsupported", "join_streams", "split_streams"]


class Operator(ABC):
    """A map phi of one or more batched tensors, continuous, and piecewise linear unless the operator says otherwise.

    Letters of the shapes: b rows of any kind, n rows of the training set, s streams of tangents that share the n rows'
    linearisation. A tangent or cotangent is `(s, n, *shape)`, a value `(n, *shape)`.

    Every array may also be a `Symbol` of a graph: the same formulas then write nodes.
    """

    piecewise_linear: ClassVar[bool] = True
    """Whether phi is linear on each of finitely many pieces, which [A]'s theorems need."""

    @abstractmethod
    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of one row of the result, given those of the inputs; raises `Unsupported` where there is none."""

    @abstractmethod
    def act(self, *x: Tensor) -> Tensor:
        """phi(x), from inputs `(n, *shape)`."""

    def act_quickly(self, *x: Tensor) -> Tensor:
        """phi(x) to about 1e-5, faster where there is a way; entries that are equal may become unequal."""
        return self.act(*x)

    @abstractmethod
    def linearise(self, *x: Tensor) -> Tensor:
        """What the Jacobian at x depends on: a mask, a slope, an index; None if phi is affine."""

    @abstractmethod
    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        """J t, from tangents `(s, n, *shape)` and the state of the n rows."""

    @abstractmethod
    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """J^T c for each input, from cotangents `(s, n, *output_shape)`; `shapes` are those of the inputs."""

    @abstractmethod
    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        """The deviation from linearity after phi, given the deviation before it.

        If the inputs are x + t + w, with t the tangent and w the deviation so far, this is
        `phi(x + t + w) - phi(x) - J t`. It is computed without forming that difference of large numbers: where no gate
        flips the result is J w to full relative precision, which a subtraction of two forward passes cannot give.
        """

    @abstractmethod
    def lipschitz(self, *shapes: Shape) -> tuple[float, ...]:
        """A proved Euclidean Lipschitz constant of phi in each input."""

    def ties(self, *x: Tensor) -> Tensor:
        """Rows of x at which phi has no derivative, shape (n,); None if phi is differentiable everywhere."""
        del x
        return None

    def cast(self, dtype: DTypeLike) -> Self:
        """The same operator with its constants in `dtype`, ready to act on tensors of that type."""
        del dtype
        return self


class Affine(Operator):
    """A map `x -> L x + shift` with L linear; its linearisation is L everywhere."""

    @abstractmethod
    def linear(self, *x: Tensor) -> Tensor:
        """L x, from inputs `(b, *shape)`."""

    @abstractmethod
    def transpose(self, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        """L^T c for each input, from cotangents `(b, *output_shape)`."""

    def add_shift(self, y: Tensor) -> Tensor:
        """L x + shift from y = L x, in place; y itself where the map is linear."""
        return y

    def act(self, *x: Tensor) -> Tensor:
        """L x + shift."""
        return self.add_shift(self.linear(*x))

    def linearise(self, *x: Tensor) -> None:
        """Nothing: the Jacobian is L."""

    def jvp(self, state: Tensor, *t: Tensor) -> Tensor:
        return split_streams(self.linear(*map(join_streams, t)), t[0].shape[:2])

    def vjp(self, state: Tensor, c: Tensor, *shapes: Shape) -> tuple[Tensor, ...]:
        return tuple(split_streams(g, c.shape[:2]) for g in self.transpose(join_streams(c), *shapes))

    def residual(self, state: Tensor, x: tuple[Tensor, ...], t: tuple[Tensor, ...], w: tuple[Tensor, ...]) -> Tensor:
        return self.jvp(state, *w)


class Unsupported(Exception):  # noqa: N818 - it is a verdict on a node, gathered with others into one error
    """A node, or one of its attributes, that onnxbound does not linearise.

    Attributes:
        why: The reason, in words.
        do: What the user can do about it.
    """

    def __init__(self, why: str, do: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.do = do or "export the model without this operator, or open an issue that names it"


def join_streams(t: Tensor) -> Tensor:
    """`(s, n, *shape)` as `(s*n, *shape)`, without a copy."""
    return t.reshape(t.shape[0] * t.shape[1], *t.shape[2:])


def split_streams(t: Tensor, leading: tuple[int, ...]) -> Tensor:
    """`(s*n, *shape)` as `(s, n, *shape)`, without a copy."""
    return t.reshape(*leading[:2], *t.shape[1:])
