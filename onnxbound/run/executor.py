"""Where partitions are computed: in this process, or elsewhere by the same function."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

from onnxbound.run.partitions import Arrays, Partition, Work


class Executor(ABC):
    """Computes partitions."""

    name: str

    @abstractmethod
    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        """Yield the result of every partition, in any order; inputs are read when they are needed."""


class Here(Executor):
    """This process, one partition after another."""

    name = "local"

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        for partition, arrays in inputs:
            yield partition, work.run(partition.stage, arrays)
