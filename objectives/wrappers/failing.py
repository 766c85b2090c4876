"""Let another objective fail, by chance or in a region of its space."""

from collections.abc import Mapping, Sequence

from objectives import expected
from objectives.draws import draws
from objectives.objective import Objective
from objectives.space import check
from objectives.trial import Config, Evaluation, Trial
from objectives.wrappers.wrapper import Wrapper


class Failing(Wrapper):
    """Fails a share of the trials, and all configurations of a region, before they are evaluated.

    Chance is drawn by (seed, trial id): the same trial always has the same outcome, and a new trial
    of the same configuration may succeed. The region is a box over some numeric parameters. A
    configuration is inside if all of these parameters are active and within their ranges. A
    minimiser inside the region is not a minimiser of this objective.
    """

    def __init__(
        self,
        *,
        inner: Objective,
        probability: float,
        region: Mapping[str, Sequence[float]] | None,
        penalty: float | None,
        seed: int,
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: any objective.
            probability: share of the trials that fail by chance, in [0, 1].
            region: [lower, upper] in natural units by parameter; None means no region.
            penalty: if None, a failure raises and has no value. A number is the value of a failure
                by chance. For a failure in the region, the distance to the nearest face is added,
                in [0, 1] (relative to half the range), so that an optimizer can find its way out.
                Choose the penalty above every success.
            seed: the seed of the failures by chance.

        Raises:
            ValueError: a setting is out of range, or `region` names an unknown parameter.
        """
        super().__init__(inner)
        self.version = inner.version + 1  # version 1 drew the same random numbers as an optimizer
        self.probability = float(expected.number("probability", probability, least=0, most=1))
        if region is not None and not isinstance(region, Mapping):
            raise ValueError(f"region: expected null or ranges by parameter, got {region!r}")
        ranges = {} if region is None else region
        self.region = {name: _range(inner, name, ends) for name, ends in ranges.items()}
        expected.null_or(expected.number, "penalty", penalty)
        self.penalty = None if penalty is None else float(penalty)
        self.seed = expected.whole("seed", seed, 0)
        self.minimisers = [m for m in inner.minimisers if self._depth(m) is None]
        self.optimum = inner.optimum if self.minimisers else None
        self.coco = inner.coco  # a failure uses an evaluation without an improvement

    def evaluate(self, trial: Trial) -> Evaluation:
        check(self.space, trial.config)
        depth = self._depth(trial.config)
        if depth is not None:
            return self._failure("the configuration is in the failing region", depth)
        if draws(self.seed, trial.id).random() < self.probability:
            return self._failure("failed by chance", 0.0)
        return self.inner.evaluate(trial)

    def _failure(self, reason: str, depth: float) -> Evaluation:
        if self.penalty is None:
            raise RuntimeError(reason)
        return Evaluation(self.penalty + depth, cost=0.0, error=reason)

    def _depth(self, config: Config) -> float | None:
        """Return a configuration's depth in the region, in [0, 1]; None if it is outside."""
        if not self.region or any(name not in config for name in self.region):
            return None
        depths = []
        for name, (lower, upper) in self.region.items():
            value = config[name]
            assert not isinstance(value, str)
            if not lower <= value <= upper:
                return None
            depths.append(2 * min(value - lower, upper - value) / max(upper - lower, 1e-300))
        return float(min(depths))


def _range(inner: Objective, name: str, ends: Sequence[float]) -> tuple[float, float]:
    numeric = [key for key, axis in inner.space.items() if hasattr(axis, "lower")]
    if name not in numeric:
        raise ValueError(f"region: expected one of the parameters {numeric}, got {name}")
    pair = list(ends) if isinstance(ends, (list, tuple)) else []
    if len(pair) != 2 or not all(map(expected.is_number, pair)) or pair[0] > pair[1]:
        raise ValueError(f"region.{name}: expected [lower, upper], got {ends}")
    return float(pair[0]), float(pair[1])
