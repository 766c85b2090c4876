"""A bridge to any of Nevergrad's optimizers, through Nevergrad's ask and tell, on the unit cube.

Nevergrad's methods depend on the budget (NGOpt even chooses its method by it), so the run cannot
be extended. Nevergrad does not see parameters that have only one value.

`conf/optimizer/de.yaml` (Storn & Price 1997), `pso.yaml` (Kennedy & Eberhart 1995) and
`annealing.yaml` (Kirkpatrick et al. 1983) are families of Nevergrad with settings for small
budgets.

Departures:
- A method that uses Python's or NumPy's global generator gets separate states of them.
- A method that cannot run in parallel is asked only after its last trial has been told.
- A failure without a penalty is told as the worst value so far. If there is no value yet, it is
  told as 1e20, which suits the many methods that use only ranks.
- A forbidden combination is told as the worst value so far, and another one is requested. After 100
  such attempts, a random allowed configuration is used.
- A configuration that was never asked (in a replay that drifted) is told if the method accepts it.
- The threads in which Nevergrad runs some methods end with `close`, and never keep Python alive.
- Nevergrad's models of the function (in MetaModel and similar methods, which NGOpt may choose)
  convert arrays of one element to numbers. NumPy 2.4 and later refuse this, so the conversion is
  patched here.
"""

import inspect
import random
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import nevergrad
import numpy as np
from ConfigSpace import ConfigurationSpace
from nevergrad.common.errors import TellNotAskedNotSupportedError
from nevergrad.optimization import metamodel, recaster
from numpy.random import RandomState, mtrand

from objectives import expected
from objectives.space import UnitCube
from objectives.trial import Config, Evaluation, Trial
from optimizers.lhs import design_size
from optimizers.optimizer import Optimizer
from optimizers.random_search import draw

# SciPy warns about a setting of Nevergrad in another thread, where no context can silence it.
warnings.filterwarnings("ignore", "COBYLA: Invalid RHOEND", UserWarning)

# A process must be able to end even if a method is still waiting for its next value.
recaster._MessagingThread.daemon = True
# Replaces `float` inside the module by a conversion that also accepts arrays of one element.
metamodel.float = lambda value: float(np.asarray(value).item())

_TRIES = 100  # the largest number of attempts to obtain an allowed configuration
_NUMPYS = mtrand._rand  # NumPy's global generator
_PATIENCE_S = 5.0  # the time to wait for a thread that was told to end
_LARGEST = float(np.finfo(np.float64).max)  # the largest absolute value that is told
_UNKNOWN = 1e20  # the value that is told for a failure if there is no value yet


class NevergradBridge(Optimizer):
    """Proposes the configurations of one of Nevergrad's optimizers.

    Args:
        name: the name in Nevergrad's registry or, with `options`, in `nevergrad.families`.
        num_workers: the number of trials that Nevergrad should expect at once.
        options: the keyword arguments of the family; None for an optimizer of the registry.
        value_factor: the factor by which values are multiplied before they are told.

    Raises:
        ValueError: a setting is invalid, or there is no such optimizer.
    """

    extendable = False

    def __init__(
        self,
        space: ConfigurationSpace,
        *,
        seed: int,
        name: str,
        budget: float,
        num_workers: int,
        options: Mapping[str, Any] | None = None,
        value_factor: float = 1.0,
    ) -> None:
        super().__init__(space, seed=seed)
        make = _factory(name, options)
        self._value_factor = float(expected.number("nevergrad.value_factor", value_factor, above=0))
        expected.whole("nevergrad.num_workers", num_workers, 1)
        self._name = name
        self._rng = np.random.default_rng(seed)
        self._random = random.Random(int(self._rng.integers(2**31)))
        self._numpy_state = _seeded(self._rng).get_state()
        self._cube = UnitCube(space)
        free = np.flatnonzero(self._cube.n_values > 1)
        self._free = free if free.size else np.arange(1)
        self._threads: list[Any] = []  # threads of methods, which wait for values
        n_evaluations = design_size("nevergrad", budget)
        with self._own_generators():
            axes = nevergrad.p.Array(shape=(len(self._free),), lower=0.0, upper=1.0)
            axes.random_state = _seeded(self._rng)
            self._search = make(axes, budget=n_evaluations, num_workers=num_workers)
            chosen = getattr(
                self._search, "optim", self._search
            )  # the method that NGOpt and similar ones chose
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
                self._search.tell(asked, self._scaled(value))
                return
            if asked is not None:  # a serial method still waits for its own trial
                self._search.tell(asked, self._penalty())
            self._tell_foreign(trial.config, self._scaled(value))

    def _next(self) -> tuple[Any, Config]:
        """Return Nevergrad's candidate and its configuration; the candidate may be None."""
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
        return self._scaled(_UNKNOWN if self._worst is None else self._worst)

    def _scaled(self, value: float) -> float:
        return min(max(value * self._value_factor, -_LARGEST), _LARGEST)

    @contextmanager
    def _own_generators(self) -> Iterator[None]:
        """Replace the states of the global generators by this optimizer's own during the block."""
        pythons, numpys = random.getstate(), _NUMPYS.get_state()
        random.setstate(self._random.getstate())
        _NUMPYS.set_state(self._numpy_state)
        running = set(threading.enumerate())
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        except (ImportError, RuntimeError, ValueError) as error:
            cause = error.__cause__ or error  # an error in a method's thread is re-raised here
            if isinstance(cause, ValueError) and ": expected " not in str(cause):
                raise ValueError(
                    f"nevergrad.name: expected a method that can search this space, got "
                    f"{self._name}: {' '.join(str(cause).split())}"
                ) from None
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


def _factory(name: str, options: Mapping[str, Any] | None) -> Any:
    """Return what makes the optimizer from its parametrization, its budget and its workers."""
    families = {
        key: value for key, value in vars(nevergrad.families).items() if inspect.isclass(value)
    }
    known = nevergrad.optimizers.registry if options is None else families
    place = "optimizers.registry" if options is None else "families"
    if not isinstance(name, str) or name not in known:
        rule = f"one of the {len(known)} optimizers in nevergrad.{place}"
        expected.refuse("nevergrad.name", rule, name, expected.did_you_mean(name, known, 3))
    if options is None:
        return known[name]
    expected.keyed("nevergrad.options", options, "arguments by name")
    try:
        return families[name](**options)
    except (TypeError, ValueError, AssertionError) as error:
        raise ValueError(
            f"nevergrad.options: expected arguments of {name}, got {dict(options)}: {error}"
        ) from None


def _seeded(rng: np.random.Generator) -> RandomState:
    """Return a generator of NumPy's legacy kind, which Nevergrad requires."""
    return RandomState(int(rng.integers(2**31)))
