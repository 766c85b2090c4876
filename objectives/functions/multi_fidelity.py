"""Multi-fidelity test functions whose optimum at fidelity 1 is known.

z is the fidelity, 0 < z <= 1. At z = 1 each function is the classical one, and at smaller z it is
biased. The functions of a continuous z are defined by:

- Branin and Hartmann-6: Wu, Toscano-Palmerin, Frazier & Wilson, "Practical multi-fidelity Bayesian
  optimization for hyperparameter tuning", UAI 2019; in BoTorch they are AugmentedBranin and
  AugmentedHartmann.
- borehole: Xiong, Qian & Wu, "Sequential design and analysis of high-accuracy and low-accuracy
  computer codes", Technometrics 55 (2013), has the accurate and the coarse model of z = 1 and
  z = 0; between them linearly, as in Kandasamy, Dasarathy, Schneider & Poczos, "Multi-fidelity
  Bayesian optimisation with continuous approximations", ICML 2017.

The cost is simulated: the number of seconds of a full evaluation times lambda(z), the cost of
Kandasamy et al. and of their code (`mf_opt_functions.py`):

    Branin, Hartmann-6   lambda(z) = 0.05 + 0.95 z^2
    borehole             lambda(z) = (0.1 + z^1.5) / 1.1

so that the cost in seconds is not proportional to the budget, which counts z. An evaluation saves
no checkpoint, so the full cost of each fidelity is charged. The shares are the powers of 1/3 from
1/27.
"""

import math
from abc import abstractmethod

import numpy as np

from objectives.functions.box import BoxFunction, Vector
from objectives.functions.synthetic import Branin, Hartmann6
from objectives.override import Descriptions
from objectives.space import check
from objectives.trial import Evaluation, Fidelities, Trial

_SHARES = Fidelities((1 / 27, 1 / 9, 1 / 3, 1.0), resumable=False)


class MultiFidelityFunction(BoxFunction):
    """A formula of a point and a fidelity."""

    fidelities = _SHARES
    simulates_cost = True

    @abstractmethod
    def formula_at(self, x: Vector, z: float) -> float:
        """Return the value of the unshifted function at `x` (d,) and fidelity `z`."""

    @abstractmethod
    def seconds(self, z: float) -> float:
        """Return the simulated cost of an evaluation; it is 1 s at fidelity 1."""

    def formula(self, x: Vector) -> float:
        return self.formula_at(x, 1.0)

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        x = np.array([trial.config[name] for name in self.names], dtype=float)
        value = float(self.formula_at(x - self.shifted_by, trial.fidelity))
        return Evaluation(value, self.seconds(trial.fidelity))


class MultiFidelityBranin(MultiFidelityFunction, Branin):
    """(x2 - (b - 0.1 (1 - z)) x1^2 + c x1 - r)^2 + s (1 - t) cos x1 + s; Branin's constants.

    The valley of a low fidelity is nearly straight. Over the box, the rank correlation of z = 1/27
    with z = 1 is 0.81; among the best tenth of the points it is 0.2.
    """

    def formula_at(self, x: Vector, z: float) -> float:
        # The coefficient of x1^2 in Branin is -b, so b - 0.1 (1 - z) adds 0.1 (1 - z) x1^2.
        x1, x2 = x.tolist()
        bent = x2 + 0.1 * (1 - z) * x1**2
        return Branin.formula(self, np.array([x1, bent]))

    def seconds(self, z: float) -> float:
        return 0.05 + 0.95 * z**2


class MultiFidelityHartmann6(MultiFidelityFunction, Hartmann6):
    """Hartmann-6 with alpha_1 - 0.1 (1 - z) in place of alpha_1; the bias is small."""

    def formula_at(self, x: Vector, z: float) -> float:
        bumps = np.exp(-np.sum(self.A * (x - self.P) ** 2, axis=1))  # (4,)
        return -float(self.ALPHA @ bumps) + 0.1 * (1 - z) * float(bumps[0])

    def seconds(self, z: float) -> float:
        return 0.05 + 0.95 * z**2


class MultiFidelityBorehole(MultiFidelityFunction):
    """The negative flow of water through a borehole, in m^3 per year, in eight dimensions.

    With g = ln(x2 / x1), x1 and x2 the radii of the borehole and of its influence in m, x3 and x5
    the transmissivities of the upper and lower aquifer in m^2 per year, x4 and x6 their heads in m,
    x7 the length in m and x8 the conductivity in m per year:

        high(x) = 2 pi x3 (x4 - x6) / (g (1   + 2 x7 x3 / (g x1^2 x8) + x3 / x5))
        low(x)  = 5    x3 (x4 - x6) / (g (1.5 + 2 x7 x3 / (g x1^2 x8) + x3 / x5))
        value   = -z high(x) - (1 - z) low(x)

    The flow is monotone in every parameter, so its maximiser is a corner of the box: it rises with
    x1, x3, x4, x5 and x8 and falls with x2, x6 and x7. An optimizer that tries corners finds it
    without learning. (Kandasamy et al. cut the flow at 309.523.)

    It is not shifted, because the formula has no meaning beyond the box.
    """

    def __init__(self, *, space: Descriptions) -> None:
        bounds = [
            (0.05, 0.15),
            (100.0, 50000.0),
            (63070.0, 115600.0),
            (990.0, 1110.0),
            (63.1, 116.0),
            (700.0, 820.0),
            (1120.0, 1680.0),
            (9855.0, 12045.0),
        ]
        rises = (True, False, True, True, True, False, False, True)
        corner = [high if up else low for (low, high), up in zip(bounds, rises, strict=True)]
        super().__init__(
            bounds=bounds,
            optimum=self.formula_at(np.array(corner), 1.0),
            minimisers=[corner],
            shift=None,
            space=space,
        )

    def formula_at(self, x: Vector, z: float) -> float:
        r_w, r, t_u, h_u, t_l, h_l, length, k_w = x.tolist()
        g = math.log(r / r_w)
        common = 2 * length * t_u / (g * r_w**2 * k_w) + t_u / t_l
        high = 2 * math.pi * t_u * (h_u - h_l) / (g * (1 + common))
        low = 5 * t_u * (h_u - h_l) / (g * (1.5 + common))
        return float(-z * high - (1 - z) * low)

    def seconds(self, z: float) -> float:
        return float((0.1 + z**1.5) / 1.1)
