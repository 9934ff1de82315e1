"""Every case of the battery."""

from tests.operators import arithmetic, gates, pooling, selecting, shapes, smooth, weighted
from tests.operators.case import Case

CASES: list[Case] = [
    case for family in (weighted, pooling, gates, arithmetic, shapes, selecting, smooth) for case in family.CASES
]
