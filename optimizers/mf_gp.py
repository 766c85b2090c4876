"""`mf_gp`: Bayesian optimization with a Gaussian process over configurations and fidelities.

The model is BOCA's (Kandasamy et al., ICML 2017; `optimizers/fidelity_model.py`), with the warps,
priors and main effects of `gp_bo`. The acquisition is that of Huang, Allen, Notz & Miller,
"Sequential kriging optimization using multiple-fidelity evaluations", Structural and
Multidisciplinary Optimization 32 (2006), with LogEI in place of their EI:

    a(x, f) = EI(x, 1) rho^2(x, f) / c(x, f)

EI(x, 1) is the expected improvement of a full evaluation of x over the effective best, which is the
least posterior mean plus deviation of a full evaluation over all told configurations. rho is the
posterior correlation of an evaluation at fidelity f with a full one. (The paper multiplies by rho.
Here its square is used, which is the share of the variance that the evaluation explains, because it
avoids cheap but uninformative fidelities.) The cost c is the share of a full evaluation that the
trial spends: f, minus the share of the trial that it resumes.

A step compares two kinds of candidates: the new configuration of greatest EI(x, 1), at every rung,
and every told configuration, at each of its higher rungs. The latter is a promotion. It resumes the
trial if the objective can continue an evaluation.

Half of the budget is spent on exploitation: whenever at most as much was spent on it as on the
steps above, the configuration of least posterior mean is evaluated in full. The incumbent therefore
improves even while the model is uncertain.

Low fidelities may be uninformative or misleading. From `_FEW` full evaluations on, the model is
therefore compared before each step with a model of the full evaluations only, by the log density of
each full evaluation given all others (leave-one-out). If the latter model is better, it chooses the
next configuration, as in `gp_bo`, which is then evaluated in full. To decide this early and at
little cost, at most `_BETWEEN` other steps lie between the first exploitations, and these steps are
at the lowest rung. The first exploitations are promotions, which show how the fidelities of one
configuration differ.

Pending trials enter the model with their posterior mean, as in `gp_bo`; at most one of them is an
exploitation. A configuration that failed is not promoted.
"""

from dataclasses import dataclass

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from objectives.trial import Config, Evaluation, Fidelities, Trial
from optimizers.acquisition import Acquisition, Posterior
from optimizers.acquisition_search import Key, key
from optimizers.fidelity_model import FULL, AtFullFidelity, FidelityProcess
from optimizers.gp_bo import GaussianProcessOptimizer
from optimizers.one_thread import one_thread
from optimizers.rungs import ladder
from optimizers.targets import succeeded, targets

_FEW = 4  # with fewer full evaluations, the low fidelities are trusted
_BETWEEN = 3  # steps between the first exploitations
_N_CENTRES = 3  # number of the best told points around which candidates are drawn
_TINY = 1e-300


@dataclass
class Standing:
    """The highest fidelity at which a configuration was evaluated.

    Attributes:
        config: the configuration.
        share: the highest fidelity that was asked for.
        id: the trial that was told at this fidelity; None while it is pending.
        failed: whether one of its trials failed.
    """

    config: Config
    share: float
    id: int | None = None
    failed: bool = False


@dataclass(frozen=True)
class Proposal:
    """A configuration to evaluate at a share, and whether it is for exploitation."""

    config: Config
    share: float
    exploits: bool = False


class MultiFidelityGaussianProcess(GaussianProcessOptimizer):
    """Asks for the greatest improvement per cost under a model of all fidelities.

    Args:
        fidelities: the fidelities of the objective.
        eta: the ratio of two successive rungs.
        least: the lowest fidelity to use; None means the objective's lowest.
        n_initial: number of points of the design, at the lowest rung.
        candidates: number of quasi-random points in a step's pool, a power of two.
        starts: number of these points that are improved by gradient.

    Raises:
        ValueError: a setting is invalid, or the objective has no fidelities.
    """

    version: int = 1

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        fidelities: Fidelities | None,
        eta: int,
        least: float | None,
        n_initial: int,
        candidates: int,
        starts: int,
    ) -> None:
        self._rungs = np.array(ladder(fidelities, eta, least))
        self._resumes = fidelities is not None and fidelities.resumable
        super().__init__(
            space,
            seed=seed,
            n_initial=n_initial,
            acquisition="log_ei",
            beta=4.0,
            noiseless=True,
            exploit_every=0,
            candidates=candidates,
            starts=starts,
        )
        self._model = FidelityProcess(self._cube)
        self._full = AtFullFidelity(self._model)
        self._standings: dict[Key, Standing] = {}
        self._waiting: dict[int, Trial] = {}
        self._places: list[float] = []  # z of the trials told
        self._useful = True
        self._n_since = 0  # steps since the last exploitation
        self._explored = self._exploited = 0.0  # amounts spent, in full evaluations

    # ---- ask and tell

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        with one_thread():
            while len(trials) < n:
                proposal = self._proposal()
                if proposal is None:
                    break
                trials.append(self._asked(proposal))
        return trials

    def _asked(self, proposal: Proposal) -> Trial:
        config, share = proposal.config, proposal.share
        before = self._standings.get(key(config))
        resumed = before.id if before is not None and self._resumes else None
        cost = self._cost(share, before)
        trial = self._trial(config, share, resumed)
        self._standings[key(config)] = Standing(config, share)
        self._waiting[trial.id] = trial
        self._pending[trial.id] = config
        self._known.add(key(config))
        if proposal.exploits:
            self._exploiting = trial.id
            self._exploited += cost
            self._n_since = 0
        else:
            self._explored += cost
            self._n_since += 1
        return trial

    def _cost(self, share: float, before: Standing | None) -> float:
        """Return the cost of an evaluation, given the progress of its configuration."""
        resumed = self._resumes and before is not None and before.id is not None
        return share - (before.share if before is not None and resumed else 0.0)

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        super().tell(trial, evaluation)
        self._waiting.pop(trial.id, None)
        self._places.append(self._place(trial.fidelity))
        before = self._standings.get(key(trial.config))
        if before is None or trial.fidelity >= before.share:
            before = Standing(trial.config, trial.fidelity, trial.id)
            self._standings[key(trial.config)] = before
        before.failed = before.failed or not succeeded(evaluation)

    def refuse(self, trial: Trial) -> None:
        super().refuse(trial)
        self._waiting.pop(trial.id, None)
        self._standings.pop(key(trial.config), None)

    def _place(self, share: float) -> float:
        """Return z of a share."""
        return float(np.clip(1 - np.log(share) / np.log(self._rungs[0]), 0.0, FULL))

    # ---- what to evaluate

    def _proposal(self) -> Proposal | None:
        rng = np.random.default_rng([self.seed, self._n_trials])
        lowest = float(self._rungs[0])
        if self._design:
            config: Config | None = self._cube.config(self._design.pop())
            if config is not None and not self._admits(config):
                config = self._farthest(rng)
            return None if config is None else Proposal(config, lowest)
        if not any(map(succeeded, self._told)):
            config = self._farthest(rng)
            return None if config is None else Proposal(config, lowest)
        best = self._prepare()
        centres = np.array(self._points)[best[:_N_CENTRES]]
        exploits = self._exploiting is None and self._exploitation_is_due()
        if not self._useful:
            proposal = self._in_full(centres, rng, exploits)
            if proposal is not None:
                return proposal
        if exploits:
            proposal = self._exploitation(centres, rng)
            if proposal is not None:
                return proposal
        return self._exploration(centres, rng)

    def _exploitation_is_due(self) -> bool:
        early = self._is_early() and self._n_since >= _BETWEEN
        return early or self._exploited <= self._explored

    def _is_early(self) -> bool:
        """Return whether it is too early to compare the models."""
        return sum(place == FULL for place in self._places) < _FEW

    def _prepare(self) -> NDArray[np.intp]:
        """Fit the models to all trials; return the order of the told ones by expected value.

        Sets whether the low fidelities are useful, the posterior of full evaluations, and the
        effective best.
        """
        points = np.array(self._points)
        if self._n_fitted < len(points):
            t = targets(self._told)
            self._model.fit(np.column_stack([points, self._places]), t, refit=True)
            self._useful = self._compared(points, t)
            self._n_fitted = len(points)
        waiting = [self._cube.point(trial.config) for trial in self._waiting.values()]
        unit = np.array(waiting).reshape(-1, self._cube.dim)
        if self._useful:
            places = [self._place(trial.fidelity) for trial in self._waiting.values()]
            self._model.pend(np.column_stack([unit, places]))
        else:
            self._gp.pend(unit)
        self._posterior: Posterior = self._full if self._useful else self._gp
        mean, variance = self._posterior.at(self._gp.features.of_snapped(points))
        self._effective_best = float((mean + np.sqrt(variance)).min())
        return np.argsort(mean, kind="stable")

    def _compared(self, points: NDArray[np.float64], t: NDArray[np.float64]) -> bool:
        """Return whether the full evaluations are predicted better with the low fidelities."""
        full = np.array(self._places) == FULL
        if self._is_early() or full.all():
            return True
        self._gp.fit(points[full], t[full], refit=True)
        together = self._model.leave_one_out()[full].sum()
        return bool(together >= self._gp.leave_one_out().sum())

    def _columns(self, configs: list[Config]) -> NDArray[np.float64]:
        points = np.array([self._cube.point(config) for config in configs])
        return self._gp.features.of_snapped(points.reshape(-1, self._cube.dim))

    def _promotable(self) -> list[Standing]:
        """Return the configurations that may be evaluated at a higher fidelity."""
        return [
            one
            for one in self._standings.values()
            if one.id is not None and not one.failed and one.share < self._rungs[-1]
        ]

    def _in_full(
        self, centres: NDArray[np.float64], rng: np.random.Generator, exploits: bool
    ) -> Proposal | None:
        """Return the choice of the model of full evaluations; None if none is left."""
        name = "mean" if exploits else "log_ei"
        worth = Acquisition(name, self._posterior, self._effective_best)
        top = float(self._rungs[-1])

        def admits(config: Config) -> bool:
            one = self._standings.get(key(config))
            known = one is not None and (one.id is None or one.failed or one.share >= top)
            return not known and self._cube.allows(config)

        config = self._search.maximise(worth, centres, admits, rng)
        return None if config is None else Proposal(config, top, exploits)

    def _exploitation(
        self, centres: NDArray[np.float64], rng: np.random.Generator
    ) -> Proposal | None:
        """Return the configuration of least posterior mean, in full; None if none is left."""
        worth = Acquisition("mean", self._posterior, 0.0)
        configs = [one.config for one in self._promotable()]
        if not (configs and self._is_early()):
            new = self._search.maximise(worth, centres, self._admits, rng)
            configs += [] if new is None else [new]
        if not configs:
            return None
        place = int(np.argmax(worth.at(self._columns(configs))))
        return Proposal(configs[place], float(self._rungs[-1]), exploits=True)

    def _exploration(
        self, centres: NDArray[np.float64], rng: np.random.Generator
    ) -> Proposal | None:
        """Return the configuration and the share of greatest a(x, f); None if none is left."""
        worth = Acquisition("log_ei", self._posterior, self._effective_best)
        pending = self._pending_points()

        def admits(config: Config) -> bool:
            return self._admits(config) and not self._is_near(config, pending)

        new = self._search.maximise(worth, centres, admits, rng)
        if new is None:
            new = self._search.maximise(worth, centres, self._admits, rng)
        rungs = self._rungs[:1] if self._is_early() and new is not None else self._rungs
        options = [
            (one.config, float(share), self._cost(float(share), one))
            for one in self._promotable()
            for share in rungs[rungs > one.share]
        ]
        if new is not None:
            options += [(new, float(share), float(share)) for share in rungs]
        if not options:
            return None
        x = self._columns([config for config, _, _ in options])
        z = np.array([self._place(share) for _, share, _ in options])
        costs = np.array([cost for _, _, cost in options])
        explained = np.maximum(self._model.explained(x, z), _TINY)
        scores = worth.at(x) + np.log(explained) - np.log(costs)
        config, share, _ = options[int(np.argmax(np.where(np.isfinite(scores), scores, -1e300)))]
        return Proposal(config, share)
