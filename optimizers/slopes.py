"""What an acquisition function needs of a model: the posterior, with its derivatives."""

from typing import NamedTuple

from optimizers.kernel import Matrix, Vector


class Slopes(NamedTuple):
    """The posterior at m inputs and its derivatives with respect to the numeric columns.

    Attributes:
        mean, variance: (m,).
        d_mean, d_variance: (m, numeric columns).
    """

    mean: Vector
    variance: Vector
    d_mean: Matrix
    d_variance: Matrix
