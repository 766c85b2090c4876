"""The hyperparameters of the Gaussian process, learned for each warp of the values.

They maximise the log marginal likelihood plus the log prior (Rasmussen & Williams, 2006, eq. 2.30;
`optimizers/kernel.py`; the notation is that of `optimizers/gaussian_process.py`). A fit takes
about 10 steps of L-BFGS-B from the last optimum. Each step computes one Cholesky factor, one
inverse, and one product of K^-1 - alpha alpha^T with the inputs, which gives the gradient with
respect to all length scales without the n x n differences of each column.

With more than `MANY` data, the hyperparameters are learned from a subset, half of which are the
best values, and only after every 5 % of new data. The posterior always uses all data.
"""

from collections.abc import Sequence

import numpy as np
import scipy.optimize
from numpy.typing import NDArray

from optimizers.kernel import Inputs, Vector, bounds, default, negative_log_posterior
from optimizers.warp import Warp

MANY = 200  # largest number of data from which the hyperparameters are learned
_FEW = 10  # with more data, only the last selected warp and one other in turn are fitted
_FRESH = 5  # every fifth fit may also start from the default hyperparameters


class Hyperparameters:
    """The most likely hyperparameters under each of the candidate warps, and the selected warp.

    Attributes:
        offset: the offset of the selected warp.
    """

    def __init__(
        self,
        axis_of: NDArray[np.intp],
        n_axes: int,
        warps: Sequence[float | None],
        max_iterations: int,
    ) -> None:
        """Start from the default hyperparameters.

        Args:
            axis_of: (columns,) the axis of each input, which determines its length scale.
            n_axes: the number of axes.
            warps: the offsets of the candidate warps; the first one is selected at the beginning.
            max_iterations: L-BFGS-B iterations per fit, which starts from the last optimum.
        """
        self._axis_of = axis_of
        self._max_iterations = max_iterations
        self._default = default(n_axes)
        self._bounds = bounds(n_axes)
        self._thetas = {offset: default(n_axes) for offset in warps}
        self._n_learned = 0  # number of data at the last fit
        self._n_learnings = 0
        self.offset = warps[0]

    @property
    def theta(self) -> Vector:
        """The hyperparameters (axes + 4,) under the selected warp."""
        return self._thetas[self.offset]

    def are_due(self, n: int, refit: bool) -> bool:
        """Return whether the hyperparameters are to be learned from n data."""
        due = n <= MANY or n >= 1.05 * self._n_learned
        return n > 1 and (self._n_learned == 0 or (refit and due))

    def learn(self, inputs: Inputs, t: Vector, places: NDArray[np.intp]) -> None:
        """Fit the hyperparameters for some of the warps, and select the most likely warp.

        Args:
            inputs: the inputs of the data at `places`.
            t: (n,) scaled and clipped values of all data.
            places: the indices of the data to learn from; see `representative`.
        """
        tried = list(self._thetas)
        if self._n_learned > _FEW and len(tried) > 2:
            rivals = [offset for offset in tried if offset != self.offset]
            tried = [self.offset, rivals[self._n_learnings % len(rivals)]]
        losses: dict[float | None, float] = {}
        for offset in tried:
            warp = Warp.of(t, offset)
            z = warp.standardised(t[places])
            theta, loss = self._best_theta(self._thetas[offset], inputs, z)
            self._thetas[offset] = theta
            losses[offset] = loss - warp.log_jacobian(t[places])  # that of t instead of z
        self.offset = min(losses, key=lambda offset: losses[offset])
        self._n_learnings += 1
        self._n_learned = len(t)

    def _best_theta(self, last: Vector, inputs: Inputs, z: Vector) -> tuple[Vector, float]:
        """Return the theta that L-BFGS-B finds from the last or the default one, and its loss."""

        def of(theta: Vector) -> tuple[float, Vector]:
            return negative_log_posterior(theta, inputs, z, self._axis_of)

        fresh = self._n_learnings % _FRESH == 0
        starts = [last, self._default] if fresh else [last]
        first = [of(start) for start in starts]
        best = min(range(len(starts)), key=lambda place: first[place][0])
        known = [first[best]]  # L-BFGS-B first evaluates the loss at its start

        def loss(theta: Vector) -> tuple[float, Vector]:
            return known.pop() if known else of(theta)

        result = scipy.optimize.minimize(
            loss,
            starts[best],
            jac=True,
            method="L-BFGS-B",
            bounds=self._bounds,
            options={"maxiter": self._max_iterations, "ftol": 1e-4},
        )
        theta: Vector = np.array(result.x, dtype=np.float64)
        if np.isfinite(theta).all() and result.fun <= first[best][0]:
            return theta, float(result.fun)
        return last, first[0][0]


def representative(t: Vector) -> NDArray[np.intp]:
    """Return at most `MANY` indices of t (n,): half are the best, the others spread over ranks."""
    order = np.argsort(t, kind="stable")
    if len(t) <= MANY:
        return np.arange(len(t))
    half = MANY // 2
    others = np.linspace(half, len(t) - 1, MANY - half).astype(int)
    return np.sort(np.concatenate([order[:half], order[others]]))
