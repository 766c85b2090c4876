"""Real training of boosted trees or a neural network on data that come with scikit-learn.

The value is the validation loss: the cross-entropy in nats, or the squared error relative to the
variance of the training targets. The test loss and the test error are measured only at the
incumbent.

A fidelity f means the share f of the rounds or epochs. A trial below a full evaluation saves its
state in the run's folder, in `checkpoints/trial-7.pkl`. A trial that resumes it makes the remaining
steps, and its model is bit by bit the same as after an uninterrupted training (`learners.py`). A
full evaluation saves no state, and the test deletes the remaining states.
"""

import hashlib
import io
import os
import pickle
import shutil
import warnings
import zlib
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from objectives import expected
from objectives.hpo.data import DATASETS, Part, Split, load
from objectives.hpo.learners import LEARNERS, Learner
from objectives.objective import Objective
from objectives.override import override
from objectives.space import build_space, check
from objectives.trial import Evaluation, Fidelities, Goal, Trial

_SHARES = (1 / 27, 1 / 9, 1 / 3, 1.0)
_CHANGEABLE = ("tree_rate", "tree_decay", "columns", "rows", "network_decay", "batch")
_LEAST_PROBABILITY = 1e-7

_TREES, _NETWORK = {"learner": "trees"}, {"learner": "network"}
SPACE: dict[str, dict[str, Any]] = {
    "learner": {"type": "categorical", "choices": ["trees", "network"]},
    "tree_rate": {"type": "float", "lower": 0.01, "upper": 0.5, "log": True, "when": _TREES},
    "leaves": {"type": "int", "lower": 2, "upper": 64, "log": True, "when": _TREES},
    "leaf_rows": {"type": "int", "lower": 1, "upper": 50, "log": True, "when": _TREES},
    "tree_decay": {"type": "float", "lower": 1e-6, "upper": 10, "log": True, "when": _TREES},
    "columns": {"type": "float", "lower": 0.2, "upper": 1.0, "when": _TREES},
    "rows": {"type": "float", "lower": 0.3, "upper": 1.0, "when": _TREES},
    "layers": {"type": "int", "lower": 1, "upper": 3, "when": _NETWORK},
    "width": {"type": "int", "lower": 4, "upper": 128, "log": True, "when": _NETWORK},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"], "when": _NETWORK},
    "network_rate": {"type": "float", "lower": 1e-4, "upper": 0.1, "log": True, "when": _NETWORK},
    "network_decay": {"type": "float", "lower": 1e-7, "upper": 1, "log": True, "when": _NETWORK},
    "batch": {"type": "ordinal", "choices": [16, 32, 64, 128], "when": _NETWORK},
}
"""`columns` and `rows` are the shares of them that a tree sees."""


class Stored(NamedTuple):
    """The saved state of a trial: the learner's name, the number of steps, and the state."""

    learner: str
    steps: int
    state: Any


_KINDS = {
    "numpy": {"dtype", "ndarray"},
    "numpy._core.multiarray": {"_reconstruct", "scalar"},
    "numpy.random._mt19937": {"MT19937"},
    "numpy.random._pickle": {"__bit_generator_ctor", "__randomstate_ctor"},
    "sklearn.neural_network._multilayer_perceptron": {"MLPClassifier", "MLPRegressor"},
    "sklearn.neural_network._stochastic_optimizers": {"AdamOptimizer"},
    "sklearn.preprocessing._label": {"LabelBinarizer"},
}
"""What a state consists of, beside plain values: names by module."""


class _States(pickle.Unpickler):
    """Reads states alone, because the folder of a run may come from somebody else."""

    def find_class(self, module: str, name: str) -> Any:
        if name not in _KINDS.get(module, ()):
            raise ValueError(f"resumes: expected the state of a learner, got {module}.{name} in it")
        return super().find_class(module, name)


class Hpo(Objective):
    """Trains a configuration and measures it on the validation data.

    Args:
        dataset: one of `objectives.hpo.data.DATASETS`.
        steps: rounds or epochs of a full evaluation, a multiple of 27.
        data_seed: the seed of the split.
        train_seed: the seed of the training.
        space: changes to the parameters.

    Raises:
        ValueError: a setting does not have the described form.
    """

    goals = {"validation_loss": Goal(minimise=True)}

    def __init__(
        self,
        *,
        dataset: str,
        steps: int,
        data_seed: int,
        train_seed: int,
        space: Mapping[str, Mapping[str, Any]],
    ) -> None:
        expected.one_of("dataset", dataset, sorted(DATASETS))
        self._steps = expected.whole("steps", steps, 27)
        if steps % 27:
            raise ValueError(f"steps: expected a multiple of 27, got {steps}")
        self._dataset = dataset
        self._seeds = (
            expected.whole("data_seed", data_seed, 0),
            expected.whole("train_seed", train_seed, 0),
        )
        self.space = build_space(override(SPACE, space))
        self.fidelities = Fidelities(_SHARES, changeable=_CHANGEABLE)
        self._split: Split | None = None

    def evaluate(self, trial: Trial) -> Evaluation:
        """Train a configuration, or continue the training of the trial that it resumes.

        Raises:
            ValueError: the configuration is not in the space.
            RuntimeError: the checkpoint to continue is missing, or the training diverged.
        """
        check(self.space, trial.config)
        start = perf_counter()
        learner, state = self._trained(trial)
        split = self._data()
        metrics = self._measured(learner, state, split.validation, "validation")
        seconds = perf_counter() - start
        loss = metrics["validation_loss"]
        if not np.isfinite(loss):
            raise RuntimeError(f"training: expected a finite validation loss, got {loss}")
        if trial.fidelity < 1:
            self._leave(trial, state)
        return Evaluation(loss, seconds, metrics)

    def test(self, trial: Trial) -> dict[str, float]:
        """Train the configuration again, measure it on the test data, and clear the checkpoints."""
        learner, state = self._trained(trial)
        if self.folder is not None:
            shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        return self._measured(learner, state, self._data().test, "test")

    def fingerprint(self) -> dict[str, Any]:
        import lightgbm
        import sklearn

        split = self._data()
        digest = hashlib.sha256(split.train.x.tobytes() + split.train.y.tobytes()).hexdigest()
        return {
            "data_digest": digest[:16],
            "learners": f"lightgbm {lightgbm.__version__}, scikit-learn {sklearn.__version__}",
        }

    def notice(self) -> str:
        n = len(self._data().train.x)
        return f"data: scikit-learn's {self._dataset}, {n} rows to train"

    def _data(self) -> Split:
        if self._split is None:
            self._split = load(self._dataset, self._seeds[0])
        return self._split

    # ---- training

    def _trained(self, trial: Trial) -> tuple[Learner, Any]:
        """Return the learner and its state after the trial's share of the steps."""
        name = str(trial.config["learner"])
        learner = LEARNERS[name](self._data(), self._seeds[1])
        done, state = 0, None
        if trial.resumes is not None:
            done, state = self._left(trial.resumes, name)
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # overflow in a training that diverges
            for last in (round(share * self._steps) for share in _SHARES):
                if done < last <= round(trial.fidelity * self._steps):
                    try:
                        state = learner.advance(state, trial.config, done, last)
                    except ValueError as error:  # the network's weights are not finite
                        raise RuntimeError(f"training: expected finite weights: {error}") from None
                    done = last
        return learner, state

    def _measured(self, learner: Learner, state: Any, part: Part, name: str) -> dict[str, float]:
        with threadpool_limits(limits=1):
            predicted = learner.predict(state, part.x)
        if predicted.ndim == 1:
            return {f"{name}_loss": float(np.mean((predicted - part.y) ** 2))}
        classes = part.y.astype(int)
        own = np.maximum(predicted[np.arange(len(classes)), classes], _LEAST_PROBABILITY)
        wrong = float(np.mean(predicted.argmax(axis=1) != classes))
        return {f"{name}_loss": -float(np.log(own).mean()), f"{name}_error": wrong}

    # ---- checkpoints

    def _path(self, id: int) -> Path | None:
        return None if self.folder is None else self.folder / "checkpoints" / f"trial-{id}.pkl"

    def _leave(self, trial: Trial, state: Any) -> None:
        """Store the state of a trial; the file is complete or absent whenever the process ends."""
        path = self._path(trial.id)
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        steps = round(trial.fidelity * self._steps)
        stored = tuple(Stored(str(trial.config["learner"]), steps, state))
        half = path.with_suffix(f".{os.getpid()}")
        half.write_bytes(zlib.compress(pickle.dumps(stored), 1))
        os.replace(half, path)

    def _left(self, id: int, learner: str) -> tuple[int, Any]:
        path = self._path(id)
        if path is None or not path.exists():
            raise RuntimeError(
                f"resumes: expected the checkpoint of trial {id} in the run's folder, got none"
            )
        stored = Stored(*_States(io.BytesIO(zlib.decompress(path.read_bytes()))).load())
        if stored.learner != learner:
            raise RuntimeError(f"resumes: expected learner {stored.learner}, got {learner}")
        return stored.steps, stored.state
