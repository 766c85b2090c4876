"""SMAC with a random forest: Lindauer et al., JMLR 23 (2022), through SMAC3's ask and tell.

It uses `HyperparameterOptimizationFacade` on the typed space. After a scrambled Sobol design, SMAC
maximises the expected improvement of the logarithm of the values by local and random search, with
random configurations in between. The values are assumed to be noiseless, so no configuration is
repeated as long as SMAC finds a new one.

Departures:
- Configurations that are forbidden or break a rule of the space are removed from the candidates.
  In the design, they are replaced by random allowed configurations.
- The local search sorts its starting points. SMAC takes them from a Python set, whose order
  depends on the process's hash seed.
- A failure without a penalty is told as the worst value so far. If there is no value yet, it is
  told as soon as there is one.
- If there is still no value after the initial design, configurations are drawn at random. SMAC does
  the same, but in a small finite space it would loop forever.
- ConfigSpace may leave an inactive parameter in a configuration under nested conditions. Such a
  parameter is removed.
- If SMAC considers a finite space to be exhausted, configurations are drawn at random.
- The initial design has a fixed size, so that a run can be extended. SMAC's depends on the budget.
- Values whose transformation would be infinite are transformed differently (`smac_encoder.py`).
- The forest is refitted before every ask. SMAC asks 8 times between fits, which is too many for a
  run of a few dozen evaluations (`retrain_after=8` restores it). For the same reason, a tenth of
  the asks are random instead of a fifth.
- Values whose range SMAC's scaling cannot resolve are scaled and clipped first
  (`smac_encoder.py`).
"""

import copy
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace
from smac import HyperparameterOptimizationFacade, Scenario
from smac.acquisition.maximizer import LocalAndSortedRandomSearch
from smac.main.config_selector import ConfigurationSpaceExhaustedException
from smac.model.random_forest import RandomForest
from smac.runhistory import TrialInfo, TrialValue

from objectives import expected
from objectives.space import UnitCube, plain
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw
from optimizers.smac_encoder import finite

_LARGEST_DESIGN = 10_000  # configurations
_UNLIMITED = 10**9  # the number of trials that SMAC may run; the runner enforces the budget


class SmacRandomForest(Optimizer):
    """Proposes the configurations of SMAC3's hyperparameter optimization facade.

    Args:
        n_initial: the number of configurations in the Sobol design.
        n_trees: the number of trees in the forest.
        n_challengers: the number of random candidates per ask.
        n_local_searches: the number of local searches per ask.
        random_probability: the fraction of asks that return a random configuration.
        retrain_after: the number of asks between two fits of the forest.
    """

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        n_initial: int,
        n_trees: int,
        n_challengers: int,
        n_local_searches: int,
        random_probability: float,
        retrain_after: int,
    ) -> None:
        super().__init__(space, seed=seed)
        settings = {
            "n_initial": n_initial,
            "n_trees": n_trees,
            "n_challengers": n_challengers,
            "n_local_searches": n_local_searches,
            "retrain_after": retrain_after,
        }
        for name, value in settings.items():
            expected.whole(f"smac_rf.{name}", value, 1)
        expected.whole("smac_rf.n_initial", n_initial, 1, _LARGEST_DESIGN)
        expected.number("smac_rf.random_probability", random_probability, least=0, most=1)
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)
        smac_seed = int(self._rng.integers(2**31))
        self._space = copy.copy(space)
        self._space.meta = None
        self._space = copy.deepcopy(self._space)  # SMAC draws from the space's own generator
        self._facade = _facade(self._space, smac_seed, settings, float(random_probability))
        _keep_to_rules(self._facade, self._cube, self._rng)
        self._evaluation_seed = 0  # SMAC's seed of all evaluations in a deterministic scenario
        self._n_initial = len(self._facade.intensifier.config_selector._initial_design_configs)
        self._n_asked = 0  # the number of asks to SMAC
        self._pending: dict[int, tuple[Any, Config]] = {}
        self._unvalued: list[Any] = []  # trials that failed before there was any value

    def ask(self, n: int = 1) -> list[Trial]:
        trials = []
        for _ in range(n):
            info, config = self._next()
            trial = self._trial(config)
            self._pending[trial.id] = (info, config)
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        info, config = self._pending.pop(trial.id, (None, {}))
        value = self._value(evaluation)
        told = info
        if info is None or trial.config != config:  # a replay that drifted
            foreign = Configuration(self._space, values=trial.config)
            told = TrialInfo(foreign, seed=self._evaluation_seed)
        self._unvalued.append(told)
        if info is not None and told is not info:
            self._unvalued.append(info)
        if evaluation.value is None and self._worst is None:
            return
        for waiting in self._unvalued:
            cost = value if waiting is told else self._worst
            self._facade.tell(waiting, TrialValue(cost=cost, time=0.0), save=False)
        self._unvalued = []

    def _next(self) -> tuple[Any, Config]:
        """Return SMAC's trial and its configuration; the trial is None for a random one."""
        if self._n_asked == self._n_initial and self._worst is None:
            return None, draw(self._cube, self._rng)
        with warnings.catch_warnings():
            # SMAC computes the mean time of local searches, even if they evaluated no neighbour.
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
            # SMAC computes an unused percentile, which overflows for very large values.
            warnings.filterwarnings("ignore", "overflow encountered", RuntimeWarning)
            try:
                info = self._facade.ask()
            except (StopIteration, ConfigurationSpaceExhaustedException):
                return None, draw(self._cube, self._rng)
        self._n_asked += 1
        self._evaluation_seed = info.seed
        config = plain(dict(info.config))
        held = self._cube.config(self._cube.point(config))
        if held.keys() != config.keys() or not self._cube.allows(held):
            return None, held if self._cube.allows(held) else draw(self._cube, self._rng)
        return info, {name: config[name] for name in held}


def _facade(
    space: ConfigurationSpace, seed: int, settings: dict[str, int], random_probability: float
) -> Any:
    """Create the facade, which leaves no file behind."""
    logging.getLogger("smac").setLevel(logging.CRITICAL)
    facade = HyperparameterOptimizationFacade
    with tempfile.TemporaryDirectory(prefix="tuneoff-smac-") as folder:
        scenario = Scenario(
            space,
            output_directory=Path(folder),
            deterministic=True,
            n_trials=_UNLIMITED,
            seed=seed,
        )
        maximizer = LocalAndSortedRandomSearch(
            space,
            challengers=settings["n_challengers"],
            local_search_iterations=settings["n_local_searches"],
            seed=seed,
        )
        _sort_starts(maximizer._local_search)
        return facade(
            scenario,
            model=_forest(scenario, settings["n_trees"]),
            acquisition_maximizer=maximizer,
            config_selector=facade.get_config_selector(
                scenario, retrain_after=settings["retrain_after"]
            ),
            initial_design=facade.get_initial_design(scenario, n_configs=settings["n_initial"]),
            runhistory_encoder=finite(facade.get_runhistory_encoder(scenario)),
            random_design=facade.get_random_design(scenario, probability=random_probability),
            intensifier=facade.get_intensifier(scenario, max_config_calls=1),
            logging_level=False,
            overwrite=True,
        )


def _keep_to_rules(facade: Any, cube: UnitCube, rng: np.random.Generator) -> None:
    """Restrict SMAC's design and its candidates to configurations that the cube allows."""
    selector, maximizer = facade.intensifier.config_selector, facade._acquisition_maximizer
    maximize: Callable[..., Iterable[Configuration]] = maximizer.maximize

    def allows(configuration: Configuration) -> bool:
        return cube.allows(plain(dict(configuration)))

    def maximize_allowed(*args: Any, **options: Any) -> Iterator[Configuration]:
        return (found for found in maximize(*args, **options) if allows(found))

    maximizer.maximize = maximize_allowed
    design = selector._initial_design_configs
    selector._initial_design_configs = [
        found
        if allows(found)
        else Configuration(found.config_space, values=cube.config(cube.draw(rng)[0]))
        for found in design
    ]


def _forest(scenario: Scenario, n_trees: int) -> RandomForest:
    """Return a forest that grows the same trees as the facade's in a tenth of the time.

    The facade's trees reserve memory for 2**20 leaves each, and its threads are mostly idle.
    """
    return RandomForest(
        scenario.configspace,
        log_y=True,
        n_trees=n_trees,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_leaf_nodes=2**14,
        n_jobs=1,
        seed=scenario.seed,
    )


def _sort_starts(local_search: Any) -> None:
    """Sort the starting points of a local search, so that they do not depend on the hash seed."""
    starts = local_search._get_init_points_from_previous_configs
    local_search._get_init_points_from_previous_configs = lambda *args: sorted(
        starts(*args), key=str
    )
