"""The kernel, the priors and the linear algebra of `optimizers/gaussian_process.py`.

The notation is the same as there. theta (axes + 4,) contains the logarithms of the length scales,
the output scale s, the variances v1 and v2 of the main effects, and the noise.
r^2 = 5 sum (x - x')^2 / l^2.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

NOISE_FLOOR = 1e-6
FAILED = 1e100  # the loss if the likelihood is not finite
EFFECTS = (math.log(0.25), 1.5)  # mean and standard deviation of the prior of log v1 and log v2
_LENGTH, _SCALE, _EFFECT = (-5.0, 7.0), (-6.0, 9.0), (-9.0, 5.0)  # bounds of the logarithms
_NOISE = (math.log(NOISE_FLOOR), 1.0)


class Inputs(NamedTuple):
    """The quantities of n inputs that the likelihood needs and that do not depend on theta.

    Attributes:
        x: the inputs, shape (n, columns).
        linear, quadratic: the main effects, divided by sqrt(d1) and sqrt(d2), with n rows.
        gram1, gram2: the Gram matrices of the main effects, shape (n, n).
    """

    x: Matrix
    linear: Matrix
    quadratic: Matrix
    gram1: Matrix
    gram2: Matrix


def bounds(axes: int) -> Matrix:
    """Return the lower and upper bounds of theta, shape (axes + 4, 2)."""
    return np.array([_LENGTH] * axes + [_SCALE, _EFFECT, _EFFECT, _NOISE])


def default(axes: int) -> Vector:
    """Return theta for length scales sqrt(d) / 2, output scale 1, v1 = v2 = 1/4, noise 1e-4."""
    lengths = [math.log(math.sqrt(axes) / 2)] * axes
    return np.array([*lengths, 0.0, EFFECTS[0], EFFECTS[0], math.log(1e-4)])


def negative_log_posterior(
    theta: Vector, inputs: Inputs, z: Vector, axis_of: NDArray[np.int_]
) -> tuple[float, Vector]:
    """Return the negative log posterior of theta without constants, and its gradient.

    See equations 2.30 and 5.9 of Rasmussen & Williams, with H = K^-1 - alpha alpha^T.
    """
    axes = len(theta) - 4
    s, v1, v2, noise = np.exp(theta[axes:]).tolist()
    a = inputs.x * (math.sqrt(5) * np.exp(-theta[:axes]))[axis_of]
    squares = squared_distances(a, a)
    correlation, slope = matern(squares)
    kernel = s * correlation + v1 * inputs.gram1 + v2 * inputs.gram2
    factor = cholesky(kernel, noise, s)
    if factor is None:
        return FAILED, np.zeros_like(theta)
    alpha, _, residual = weights(factor, z)
    inverse, _ = dpotri(factor, lower=1, overwrite_c=0)
    h = inverse + inverse.T
    np.fill_diagonal(h, inverse.diagonal())
    h -= np.outer(alpha, alpha)
    prior, d_prior = log_prior(theta)
    # 1/2 (z - m)^T alpha + sum log L_ii - log p(theta); the constant n/2 log 2 pi is left out.
    loss = 0.5 * float(residual @ alpha) + float(np.log(factor.diagonal()).sum()) - prior
    gradient = -d_prior
    # dK/dlog l = s (1 + r) exp(-r) / 3 (a - a')^2; its sum with weights p is one matrix product.
    p = (s / 3) * (h * slope)
    of_columns = (a * (p.sum(axis=1)[:, None] * a - p @ a)).sum(axis=0)
    gradient[:axes] += np.bincount(axis_of, of_columns, axes)
    gradient[axes] += 0.5 * s * float(np.vdot(h, correlation))
    gradient[axes + 1] += 0.5 * v1 * float(np.vdot(h, inputs.gram1))
    gradient[axes + 2] += 0.5 * v2 * float(np.vdot(h, inputs.gram2))
    gradient[axes + 3] += 0.5 * noise * float(h.trace())
    if not (math.isfinite(loss) and np.isfinite(gradient).all()):
        return FAILED, np.zeros_like(theta)
    return loss, gradient


def log_prior(theta: Vector) -> tuple[float, Vector]:
    """Return the log prior density of theta without constants, and its gradient (axes + 4,)."""
    axes = len(theta) - 4
    lengths = theta[:axes]
    away = (lengths - math.sqrt(2) - math.log(axes) / 2) / 3  # divided by the variance
    s, noise = math.exp(theta[axes]), math.exp(theta[-1])
    effects = (theta[axes + 1 : axes + 3] - EFFECTS[0]) / EFFECTS[1] ** 2
    density = (
        -float(lengths.sum())
        - 1.5 * float(away @ away)
        + (2.0 - 1) * theta[axes]
        - 0.15 * s
        - 0.5 * float(effects @ effects) * EFFECTS[1] ** 2
        + (1.1 - 1) * theta[-1]
        - 30.0 * noise
    )
    gradient = np.concatenate([-1 - away, [1.0 - 0.15 * s], -effects, [0.1 - 30.0 * noise]])
    return float(density), gradient


def squared_distances(a: Matrix, b: Matrix) -> Matrix:
    """Return the squared distances |a_i - b_j|^2 (n, m) of rows a (n, c) and b (m, c)."""
    squares: Matrix = a @ b.T
    squares *= -2
    squares += np.einsum("ij,ij->i", a, a)[:, None]
    squares += np.einsum("ij,ij->i", b, b)
    return np.maximum(squares, 0.0, out=squares)


def matern(squares: Matrix) -> tuple[Matrix, Matrix]:
    """Return (1 + r + r^2 / 3) exp(-r) and (1 + r) exp(-r), given r^2."""
    r = np.sqrt(squares)
    decay = np.exp(-r)
    r += 1
    slope = r
    slope *= decay
    decay *= squares
    decay /= 3
    decay += slope
    return decay, slope


def cholesky(kernel: Matrix, noise: float, s: float) -> Matrix | None:
    """Return the lower Cholesky factor of a kernel matrix with noise, or None if it has none."""
    diagonal = kernel.diagonal().copy()
    jitter = 0.0
    while jitter < 1.0:
        np.fill_diagonal(kernel, diagonal + (noise + jitter * s))
        factor, info = dpotrf(kernel.T, lower=1, clean=1)
        if info == 0:
            return np.asarray(factor)
        jitter = max(10 * jitter, 1e-9)
    return None


def weights(factor: Matrix, z: Vector) -> tuple[Vector, float, Vector]:
    """Return the weights alpha (n,), the generalised least squares mean m, and z - m (n,)."""
    both, _ = dpotrs(factor, np.column_stack([z, np.ones(len(z))]), lower=1)
    m = float(both[:, 0].sum() / both[:, 1].sum())
    return both[:, 0] - m * both[:, 1], m, z - m
