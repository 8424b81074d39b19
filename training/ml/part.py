"""One part of a data set, train, validation or test, as a matrix or as a stream of batches."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int8]
Rows = npt.NDArray[np.intp]

WHOLE_BYTES = 512 * 1024**2  # a larger matrix is streamed by whoever can
BATCH_ROWS = 131_072


@dataclass(frozen=True)
class Part:
    """`rows` of a data set, encoded by `encode` when they are asked for.

    `encode(rows)` gives the float32 matrix (len(rows), width) of these rows; a missing number is
    NaN. `labels` are 0 or 1, shape (n,), or None when nobody knows them.
    """

    rows: Rows
    width: int
    encode: Callable[[Rows], Matrix] = field(repr=False)
    labels: Labels | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, matrix: Matrix, labels: Labels | None = None) -> "Part":
        """A part of rows that are encoded already."""
        matrix = np.ascontiguousarray(matrix, dtype=np.float32)
        part = cls(np.arange(len(matrix)), matrix.shape[1], lambda rows: matrix[rows], labels)
        part.__dict__["matrix"] = matrix
        return part

    @property
    def truth(self) -> Labels:
        """The labels; raises ValueError when there are none."""
        if self.labels is None:
            raise ValueError("these rows have no labels")
        return self.labels

    @property
    def is_large(self) -> bool:
        """Whether the whole matrix is too much to hold beside a model."""
        return len(self) * self.width * 4 > WHOLE_BYTES

    @cached_property
    def matrix(self) -> Matrix:
        """All rows, shape (n, width); kept once asked for."""
        return self.encode(self.rows)

    def take(self, places: Rows) -> Matrix:
        """The rows at `places` (0 <= place < n), in that order."""
        if "matrix" in self.__dict__ or not self.is_large:
            return self.matrix[places]
        return self.encode(self.rows[places])

    def batches(self, size: int = BATCH_ROWS) -> Iterator[Matrix]:
        """All rows in their order, at most `size` at a time."""
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            if self.is_large:
                yield self.encode(self.rows[start:stop])
            else:
                yield self.matrix[start:stop]

    def head(self, count: int) -> "Part":
        """The first `count` rows."""
        labels = None if self.labels is None else self.labels[:count]
        return Part(self.rows[:count], self.width, self.encode, labels)
