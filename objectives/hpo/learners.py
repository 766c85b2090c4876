"""The two learners: boosted trees (LightGBM) and a small neural network (scikit-learn).

A learner makes steps (rounds of boosting or epochs) from a state. The state after some steps
depends only on the data, the seed and the configurations of the steps, and not on the points at
which the training was interrupted:

- LightGBM draws its rows and columns from a generator that cannot be saved. A training is therefore
  split into segments at fixed steps, even if it is not interrupted. Each segment has its own seed
  and begins with the predictions of the earlier segments as initial scores.
- Each epoch of the network shuffles the rows with its own seed; the state holds the weights and the
  moments of Adam.
"""

from abc import ABC, abstractmethod
from typing import Any

import lightgbm
import numpy as np
from sklearn.neural_network import MLPClassifier, MLPRegressor

from objectives.hpo.data import Array, Split
from objectives.trial import Config


class Learner(ABC):
    """Trains and predicts.

    Args:
        split: the data, of which only the training part is used.
        seed: the seed of the training.
    """

    def __init__(self, split: Split, seed: int) -> None:
        self._train, self._n_classes, self._seed = split.train, split.n_classes, seed

    @abstractmethod
    def advance(self, state: Any, config: Config, first: int, last: int) -> Any:
        """Return the state after the steps first + 1 to last.

        Args:
            state: the state after `first` steps; None if `first` is 0. The caller must not use it
                afterwards.
            config: the configuration of these steps.
        """

    @abstractmethod
    def predict(self, state: Any, x: Array) -> Array:
        """Return probabilities (n, classes), or numbers (n,), of inputs (n, columns)."""


class Trees(Learner):
    """Gradient boosting; a state is the list of the segments' models as text."""

    def advance(self, state: Any, config: Config, first: int, last: int) -> Any:
        before: list[str] = state or []
        scores = self._raw(before, self._train.x) if before else None
        data = lightgbm.Dataset(
            self._train.x,
            self._train.y,
            init_score=None if scores is None else scores.ravel(order="F"),
            params={"verbosity": -1},
        )
        booster = lightgbm.train(self._settings(config, first), data, num_boost_round=last - first)
        return [*before, booster.model_to_string()]

    def _settings(self, config: Config, first: int) -> dict[str, Any]:
        many = self._n_classes > 2
        objective = "multiclass" if many else "binary" if self._n_classes else "regression"
        return {
            "objective": objective,
            **({"num_class": self._n_classes} if many else {}),
            "learning_rate": config["tree_rate"],
            "num_leaves": config["leaves"],
            "min_data_in_leaf": config["leaf_rows"],
            "lambda_l2": config["tree_decay"],
            "feature_fraction": config["columns"],
            "bagging_fraction": config["rows"],
            "bagging_freq": 1,
            "seed": (self._seed * 1009 + first) % 2**31,
            "num_threads": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }

    def _raw(self, state: list[str], x: Array) -> Array:
        models = [lightgbm.Booster(model_str=text) for text in state]
        parts = [np.asarray(model.predict(x, raw_score=True)) for model in models]
        total: Array = np.sum(parts, axis=0)
        return total

    def predict(self, state: Any, x: Array) -> Array:
        raw = self._raw(state, x)
        if not self._n_classes:
            return raw
        if raw.ndim == 1:  # the log odds of class 1
            raw = np.column_stack([np.zeros(len(raw)), raw])
        powers = np.exp(raw - raw.max(axis=1, keepdims=True))
        share: Array = powers / powers.sum(axis=1, keepdims=True)
        return share


class Network(Learner):
    """A multilayer perceptron trained by Adam; a state is scikit-learn's estimator."""

    def advance(self, state: Any, config: Config, first: int, last: int) -> Any:
        kind = MLPClassifier if self._n_classes else MLPRegressor
        fresh = kind(
            hidden_layer_sizes=(int(config["width"]),) * int(config["layers"]),
            activation=config["activation"],
            learning_rate_init=config["network_rate"],
        )
        estimator = fresh if state is None else state
        classes = {"classes": np.arange(self._n_classes)} if self._n_classes else {}
        for epoch in range(first, last):
            estimator.set_params(
                alpha=config["network_decay"],
                batch_size=min(int(config["batch"]), len(self._train.x)),
                random_state=(self._seed * 1009 + epoch) % 2**31,
            )
            estimator.partial_fit(self._train.x, self._train.y, **classes)
        return estimator

    def predict(self, state: Any, x: Array) -> Array:
        predicted: Array = state.predict_proba(x) if self._n_classes else state.predict(x)
        return predicted


LEARNERS: dict[str, type[Learner]] = {"trees": Trees, "network": Network}
"""The learners by the value of the parameter `learner`."""
