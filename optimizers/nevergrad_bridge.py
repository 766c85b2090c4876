"""Any of Nevergrad's optimizers by its ask and tell, on the unit cube.

Nevergrad plans with the budget (NGOpt even chooses its method by it), so the run cannot be
extended. Parameters with one value only are no axes for Nevergrad.

Departures:
- Where a method uses Python's or numpy's global generator, it gets states of its own.
- A method that cannot run in parallel is asked only when its last trial has been told.
- An ungraded failure is told as the worst value so far; before there is any value as 1e20,
  which is right for the many methods that go by ranks.
- A forbidden combination is told as the worst value so far and asked again, at most 100 times;
  then a random allowed configuration is taken.
- A configuration that was never asked (a replay that drifted) is told where the method accepts it.
- The threads in which Nevergrad runs some methods end with `close`, and never keep Python alive.
- Its models of the function (MetaModel and its kin, which NGOpt chooses too) turn arrays of one
  element into numbers, which NumPy refuses since 2.4; here they may.
"""

import random
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import nevergrad
import numpy as np
from ConfigSpace import ConfigurationSpace
from nevergrad.common.errors import TellNotAskedNotSupportedError
from nevergrad.optimization import metamodel, recaster
from numpy.random import RandomState, mtrand

from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.lhs import design_size
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

# scipy warns of a setting of Nevergrad's, in a thread, where no context can silence it.
warnings.filterwarnings("ignore", "COBYLA: Invalid RHOEND", UserWarning)

# A run that is left for whatever reason must end, though a method waits for its next value.
recaster._MessagingThread.daemon = True
# The module's own name for the type; a number stays what it is.
metamodel.float = lambda value: float(np.asarray(value).item())

_TRIES = 100  # asks for a configuration that is not forbidden
_NUMPYS = mtrand._rand  # numpy's global generator
_PATIENCE_S = 5.0  # for a thread that was told to end
_UNKNOWN = 1e20  # told for a failure before there is any value


class NevergradBridge(Optimizer):
    """Asks one of Nevergrad's optimizers.

    Args:
        name: as in Nevergrad's registry.
        num_workers: how many trials Nevergrad should expect at once.

    Raises:
        ValueError: there is no such optimizer.
    """

    extendable = False

    def __init__(
        self, space: ConfigurationSpace, *, seed: int, name: str, budget: float, num_workers: int
    ) -> None:
        super().__init__(space, seed=seed)
        registry = nevergrad.optimizers.registry
        if name not in registry:
            close = get_close_matches(str(name), list(registry), n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise ValueError(
                f"nevergrad.name: expected one of the {len(registry)} optimizers in "
                f"nevergrad.optimizers.registry, got {name}{hint}"
            )
        if isinstance(num_workers, bool) or not isinstance(num_workers, int) or num_workers < 1:
            raise ValueError(
                f"nevergrad.num_workers: expected a positive integer, got {num_workers!r}"
            )
        self._name = name
        self._rng = np.random.default_rng(seed)
        self._random = random.Random(int(self._rng.integers(2**31)))
        self._numpy_state = _seeded(self._rng).get_state()
        self._cube = UnitCube(space)
        free = np.flatnonzero(self._cube.n_values > 1)
        self._free = free if free.size else np.arange(1)
        self._threads: list[Any] = []  # of the methods, which wait for values
        n_evaluations = design_size("nevergrad", budget)
        with self._own_generators():
            axes = nevergrad.p.Array(shape=(len(self._free),), lower=0.0, upper=1.0)
            axes.random_state = _seeded(self._rng)
            self._search = registry[name](axes, budget=n_evaluations, num_workers=num_workers)
            chosen = getattr(self._search, "optim", self._search)  # by a method that chooses
        self._serial = any(
            getattr(method, "no_parallelization", False) for method in (self._search, chosen)
        )
        self._pending: dict[int, tuple[Any, Config]] = {}

    def ask(self, n: int = 1) -> list[Trial]:
        trials: list[Trial] = []
        while len(trials) < n and not (self._serial and self._pending):
            with self._own_generators():
                asked, config = self._next()
            trial = self._trial(config)
            self._pending[trial.id] = (asked, config)
            trials.append(trial)
        return trials

    def tell(self, trial: Trial, evaluation: Evaluation) -> None:
        asked, config = self._pending.pop(trial.id, (None, {}))
        value = self._value(evaluation)
        if evaluation.value is None and self._worst is None:
            value = _UNKNOWN
        with self._own_generators():
            if asked is not None and config == trial.config:
                self._search.tell(asked, value)
                return
            if asked is not None:  # a serial method waits for its own trial
                self._search.tell(asked, self._penalty())
            self._tell_foreign(trial.config, value)

    def _next(self) -> tuple[Any, Config]:
        """Return Nevergrad's candidate and its allowed configuration."""
        for _ in range(_TRIES):
            asked = self._search.ask()
            u = np.full(self._cube.dim, 0.5)
            u[self._free] = np.clip(asked.value, 0.0, 1.0)
            config = self._cube.config(u)
            if self._cube.allows(config):
                return asked, config
            self._search.tell(asked, self._penalty())
        return None, draw(self._cube, self._rng)

    def _tell_foreign(self, config: Config, value: float) -> None:
        u = self._cube.point(config)[self._free]
        candidate = self._search.parametrization.spawn_child(new_value=u)
        try:
            self._search.tell(candidate, value)
        except TellNotAskedNotSupportedError:
            return

    def close(self) -> None:
        for thread in self._threads:
            thread.stop()
            thread.join(timeout=_PATIENCE_S)

    def _penalty(self) -> float:
        return _UNKNOWN if self._worst is None else self._worst

    @contextmanager
    def _own_generators(self) -> Iterator[None]:
        """Let Nevergrad use this optimizer's generators wherever it uses the global ones."""
        pythons, numpys = random.getstate(), _NUMPYS.get_state()
        random.setstate(self._random.getstate())
        _NUMPYS.set_state(self._numpy_state)
        running = set(threading.enumerate())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (ImportError, RuntimeError) as error:
            cause = error.__cause__ or error  # a method's thread hands its errors on
            if not isinstance(cause, ImportError):
                raise
            raise ValueError(
                f"nevergrad.name: expected a method whose packages are installed, got "
                f"{self._name}: {cause}"
            ) from None
        finally:
            begun = set(threading.enumerate()) - running
            self._threads += [t for t in begun if isinstance(t, recaster._MessagingThread)]
            self._random.setstate(random.getstate())
            self._numpy_state = _NUMPYS.get_state()
            random.setstate(pythons)
            _NUMPYS.set_state(numpys)


def _seeded(rng: np.random.Generator) -> RandomState:
    """Return a generator of numpy's old kind, which Nevergrad wants."""
    return RandomState(int(rng.integers(2**31)))
