"""The data sets that come with scikit-learn, split into training, validation and test data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets
from sklearn.model_selection import train_test_split

Array = NDArray[np.float64]

DATASETS = {
    "breast_cancer": datasets.load_breast_cancer,  # 569 rows, 30 columns, 2 classes
    "diabetes": datasets.load_diabetes,  # 442 rows, 10 columns, a number
    "digits": datasets.load_digits,  # 1,797 rows, 64 columns, 10 classes
    "wine": datasets.load_wine,  # 178 rows, 13 columns, 3 classes
}
_HELD_OUT = 0.2  # share of the rows for validation, and for the test


@dataclass(frozen=True)
class Part:
    """Rows of a data set: inputs (n, columns) and targets (n,)."""

    x: Array
    y: Array


@dataclass(frozen=True)
class Split:
    """A data set in three parts, standardised by the mean and deviation of the training part.

    Attributes:
        n_classes: the number of classes of the targets 0, 1, ...; 0 if the target is a number.
    """

    train: Part
    validation: Part
    test: Part
    n_classes: int


def load(name: str, seed: int) -> Split:
    """Return a randomly split data set: 3/5 for training, 1/5 for validation, 1/5 for the test.

    Args:
        name: one of `DATASETS`.
        seed: the seed of the split, which preserves the shares of the classes.
    """
    x, y = DATASETS[name](return_X_y=True)
    n_classes = len(np.unique(y)) if np.issubdtype(y.dtype, np.integer) else 0
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    rest_x, test_x, rest_y, test_y = _halves(x, y, _HELD_OUT, seed, n_classes)
    share = _HELD_OUT / (1 - _HELD_OUT)
    train_x, valid_x, train_y, valid_y = _halves(rest_x, rest_y, share, seed, n_classes)
    mean, sd = train_x.mean(axis=0), train_x.std(axis=0)
    sd[sd == 0] = 1.0
    centre, scale = (0.0, 1.0) if n_classes else (train_y.mean(), train_y.std())

    def part(x: Array, y: Array) -> Part:
        return Part((x - mean) / sd, (y - centre) / scale)

    return Split(part(train_x, train_y), part(valid_x, valid_y), part(test_x, test_y), n_classes)


def _halves(x: Array, y: Array, share: float, seed: int, n_classes: int) -> list[Array]:
    halves: list[Array] = train_test_split(
        x, y, test_size=share, random_state=seed, stratify=y if n_classes else None
    )
    return halves
