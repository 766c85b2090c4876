"""SMAC with a random forest: Lindauer et al., JMLR 23 (2022), by SMAC3's ask and tell.

`HyperparameterOptimizationFacade` on the typed space: a scrambled Sobol design, then expected
improvement on the logarithm of the values, maximised by local and random search, with random
configurations in between. Values are taken as noiseless: no configuration is repeated while SMAC
finds a new one.

Departures:
- Of the design and of the candidates, what is forbidden or breaks a rule of the space is left out,
  in the design for a random configuration that is allowed.
- The local search takes its starting points sorted; SMAC takes them from a Python set, whose
  order depends on the process's hash seed.
- An ungraded failure is told as the worst value so far; before there is any value, it waits for
  one.
- Beyond the initial design and before there is any value, configurations are drawn at random;
  SMAC does so too, but for ever in a small finite space.
- Where ConfigSpace leaves an inactive parameter in a configuration, as it may under nested
  conditions, that parameter is left out.
- A finite space that SMAC holds to be used up is drawn from at random.
- The initial design has a fixed size, so that a run can be extended; SMAC's depends on the budget.
- Values whose transformation would be infinite are transformed otherwise (`smac_encoder.py`).
- The forest is refitted before every ask; SMAC asks 8 times between fits, which a run of a few
  dozen evaluations cannot afford (`retrain_after=8` restores it). For the same reason a tenth of
  the asks are random, not a fifth.
- Where the values' range is beyond what SMAC's scaling resolves, they are scaled and cut first
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

from objectives.space import UnitCube, plain
from objectives.trial import Config, Evaluation, Trial
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw
from optimizers.smac_encoder import finite

_UNLIMITED = 10**9  # trials; the runner keeps the budget


class SmacRandomForest(Optimizer):
    """Asks SMAC3's hyperparameter optimization facade.

    Args:
        n_initial: configurations of the Sobol design.
        n_trees: trees of the forest.
        n_challengers: random candidates per ask.
        n_local_searches: local searches per ask.
        random_probability: share of asks answered by a random configuration.
        retrain_after: asks between two fits of the forest.
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
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"smac_rf.{name}: expected a positive integer, got {value!r}")
        if not isinstance(random_probability, (int, float)) or not 0 <= random_probability <= 1:
            raise ValueError(
                f"smac_rf.random_probability: expected a number in [0, 1], "
                f"got {random_probability!r}"
            )
        self._cube = UnitCube(space)
        self._rng = np.random.default_rng(seed)
        smac_seed = int(self._rng.integers(2**31))
        self._space = copy.copy(space)
        self._space.meta = None
        self._space = copy.deepcopy(self._space)  # SMAC draws from the space's own generator
        self._facade = _facade(self._space, smac_seed, settings, float(random_probability))
        _keep_to_rules(self._facade, self._cube, self._rng)
        self._evaluation_seed = 0  # SMAC's, the same for all of a deterministic scenario
        self._n_initial = len(self._facade.intensifier.config_selector._initial_design_configs)
        self._n_asked = 0  # of SMAC
        self._pending: dict[int, tuple[Any, Config]] = {}
        self._unvalued: list[Any] = []  # failed before there was a value

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
        """Return SMAC's trial and its configuration; None where it is not SMAC's."""
        if self._n_asked == self._n_initial and self._worst is None:
            return None, draw(self._cube, self._rng)
        with warnings.catch_warnings():
            # SMAC logs the mean time of a local search that looked at no neighbour.
            warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
            warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
            # SMAC's percentile of values near the largest double, which is not used.
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
    """Build the facade, which leaves no file behind."""
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
    """Let SMAC's design and its candidates be configurations that the cube allows."""
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
    """Return the facade's forest, which grows the same trees in a tenth of the time.

    The facade's trees reserve memory for 2**20 leaves each, and its threads mostly wait.
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
    """Give a local search its starting points in an order that no hash seed changes."""
    starts = local_search._get_init_points_from_previous_configs
    local_search._get_init_points_from_previous_configs = lambda *args: sorted(
        starts(*args), key=str
    )
