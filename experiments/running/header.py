"""The header of a log, which describes the run and everything that analysis needs to know."""

import re
from dataclasses import dataclass, field
from typing import Any

from experiments.running.fields import Fields
from experiments.running.transferred import Transferred
from objectives.expected import is_number, is_whole, refuse
from objectives.objective import Deployment, Resources
from objectives.trial import Config, Fidelities, Goal, Limit

FORMAT = 2


@dataclass(frozen=True)
class Header:
    """The first event of a log.

    Attributes:
        identity: the digest of the names, settings, seed, workers, versions and fingerprint.
        names: the names of the YAML files, under the keys `optimizer` and `objective`.
        optimizer: the optimizer's resolved settings. The settings of an object name its class
            under the key `class`.
        objective: the objective's settings, in the same form.
        seed: the seed of the run.
        budget: the budget in full-evaluation equivalents when the run began.
        workers: the number of trials that are evaluated at once.
        optimizer_version: the version of the optimizer's class.
        goals: the goals by metric; `value` stands for the only one. If there are no goals, the
            value itself is minimised; if there are several, a success has no value.
        space: the parameters in the YAML form of `objectives/space.py`; None if unknown.
        forbidden: the combinations of values that are not allowed.
        fidelities: the fidelities that the objective offers; None means full evaluations only.
        resources: the resources that one evaluation needs.
        default: the configuration that an engineer would start from, or None.
        coco: suite, function and instance, if the problem is an unchanged COCO problem.
        noise_sd: the standard deviation of the value over evaluations of one configuration.
        optimum: the smallest possible value, if it is known.
        notice: a line that must be shown with every result, or None.
        fingerprint: the objective's version, and digests of its data and model.
        code: the version and the commit of tuneoff.
        versions: the versions of Python and the packages.
        hardware: the hardware of the machine that began the run.
        time: the time when the run began, in seconds since 1970; 0 before that.
        written: the optimizer's settings as written, with `${budget}` in them; None if they equal
            `optimizer`. The identity is computed from these.
        clock: the settings of the simulated clock; None if the clock is real.
        start: the configurations that were given and evaluated first.
        transfer: the earlier runs that the optimizer was given, or None.
        own: whether the optimizer is a method of this suite's own, which tables mark.
        deployment: the command line that puts a configuration to use, or None.
        first_format: the format in which the log was written; its identity follows the rules of
            that format.
        limits: the limits by metric.
        front: points of the known Pareto front, with a number per goal in natural units.
        hypervolume: the largest hypervolume between the goals' references and a set of points,
            if it is known.
        moved: whether the optimum was moved from where it was published; None if unknown.
    """

    identity: str
    names: dict[str, str]
    optimizer: dict[str, Any]
    objective: dict[str, Any]
    seed: int
    budget: float
    workers: int
    optimizer_version: int
    goals: dict[str, Goal]
    space: dict[str, dict[str, Any]] | None
    forbidden: list[Config]
    fidelities: Fidelities | None
    resources: Resources
    default: Config | None
    coco: tuple[str, int, int] | None
    noise_sd: float
    optimum: float | None
    notice: str | None
    fingerprint: dict[str, Any]
    code: dict[str, str]
    versions: dict[str, str]
    hardware: dict[str, Any]
    time: float = 0.0
    written: dict[str, Any] | None = None
    clock: dict[str, Any] | None = None
    first_format: int = FORMAT
    limits: dict[str, Limit] = field(default_factory=dict)
    front: list[list[float]] = field(default_factory=list)
    hypervolume: float | None = None
    start: list[Config] = field(default_factory=list)
    own: bool = False
    deployment: Deployment | None = None
    transfer: Transferred | None = None
    moved: bool | None = None

    @property
    def transfer_digest(self) -> str | None:
        """The digest of the earlier runs that the optimizer was given, or None."""
        return None if self.transfer is None else self.transfer.digest

    @property
    def metric(self) -> str | None:
        """The metric that `value` stands for; None if the value itself is minimised.

        With several goals, it is the first goal.
        """
        return next(iter(self.goals), None)

    @property
    def several(self) -> bool:
        """Whether there are several goals, so that a success has no value."""
        return len(self.goals) > 1

    def to_json(self) -> dict[str, Any]:
        """Return the event as it is written to the log."""
        plain = {
            **vars(self),
            "goals": {name: goal.to_json() for name, goal in self.goals.items()},
            "fidelities": None if self.fidelities is None else list(self.fidelities.grid),
            "resources": self.resources.to_json(),
            "coco": None if self.coco is None else list(self.coco),
        }
        for key in ("written", "clock", "moved"):
            if plain[key] is None:
                del plain[key]
        if self.first_format == FORMAT:
            del plain["first_format"]
        plain["limits"] = {name: limit.to_json() for name, limit in self.limits.items()}
        for key in ("limits", "front", "hypervolume"):
            if not plain[key]:
                del plain[key]
        if not self.start:
            del plain["start"]
        for key in ("deployment", "transfer"):
            described = plain.pop(key)
            if described is not None:
                plain[key] = described.to_json()
        return {"event": "header", "format": FORMAT, **plain}

    @classmethod
    def from_json(cls, event: Any) -> "Header":
        """Return the header that an event of this format contains.

        Raises:
            ValueError: a key is missing, or its value is of another type.
        """
        fields = Fields(event, "header")
        if event.get("format") != FORMAT:
            refuse("header.format", str(FORMAT), event.get("format"))
        names = fields.texts("names")
        if not names.keys() >= {"optimizer", "objective"}:
            refuse("header.names", "the names of optimizer and objective", names)
        return cls(
            identity=fields.text("identity"),
            names=names,
            optimizer=fields.mapping("optimizer"),
            objective=fields.mapping("objective"),
            seed=fields.whole("seed"),
            budget=_budget(fields),
            workers=fields.whole("workers", 1),
            optimizer_version=fields.whole("optimizer_version"),
            goals=_goals(fields.mapping("goals")),
            space=None if event.get("space") is None else _space(fields.mapping("space")),
            forbidden=[
                Fields({"x": x}, "header.forbidden").config("x") for x in fields.items("forbidden")
            ],
            fidelities=_fidelities(fields, event),
            resources=_resources(fields.mapping("resources")),
            default=None if event.get("default") is None else fields.config("default"),
            coco=_coco(event.get("coco")),
            noise_sd=fields.number("noise_sd"),
            optimum=fields.number_or_none("optimum"),
            notice=fields.text_or_none("notice"),
            fingerprint=fields.mapping("fingerprint"),
            code=fields.texts("code"),
            versions=fields.texts("versions"),
            hardware=fields.mapping("hardware"),
            time=fields.number("time"),
            written=fields.mapping("written") if "written" in fields else None,
            clock=fields.mapping("clock") if "clock" in fields else None,
            first_format=fields.whole("first_format", 1) if "first_format" in fields else FORMAT,
            limits=_limits(fields.mapping("limits")) if "limits" in fields else {},
            front=_front(fields) if "front" in fields else [],
            hypervolume=fields.number("hypervolume") if "hypervolume" in fields else None,
            start=_start(fields),
            own=fields.boolean("own") if "own" in fields else False,
            deployment=_deployment(fields),
            transfer=Transferred.from_json(event["transfer"]) if "transfer" in fields else None,
            moved=fields.boolean("moved") if "moved" in fields else None,
        )


def _start(fields: Fields) -> list[Config]:
    given = fields.items("start") if "start" in fields else []
    return [Fields({"x": x}, "header.start").config("x") for x in given]


def _deployment(fields: Fields) -> Deployment | None:
    if "deployment" not in fields:
        return None
    given = Fields(fields.mapping("deployment"), "header.deployment")
    cases = []
    for each in given.items("stands_for"):
        case = Fields(each, "header.deployment.stands_for")
        cases.append({"config": case.config("config"), "flags": case.config("flags")})
    name, words, environment = given.text("name"), given.items("words"), given.texts("environment")
    for variable in environment:  # they are printed for a shell
        if not re.fullmatch(r"[A-Za-z_]\w*", variable, re.ASCII):
            refuse("header.deployment.environment", "names of variables", variable)
    return Deployment(name, words, environment, cases)


def _budget(fields: Fields) -> float:
    budget = fields.number("budget")
    return budget if budget > 0 else refuse("header.budget", "a positive number", budget)


def _goals(goals: dict[str, Any]) -> dict[str, Goal]:
    found = {}
    for metric, goal in goals.items():
        fields = Fields(goal, f"header.goals.{metric}")
        found[metric] = Goal(
            minimise=fields.boolean("minimise"),
            unit=fields.text("unit"),
            reference=fields.number_or_none("reference"),
            optimum=fields.number_or_none("optimum"),
        )
    return found


def _limits(limits: dict[str, Any]) -> dict[str, Limit]:
    found = {}
    for metric, limit in limits.items():
        fields = Fields(limit, f"header.limits.{metric}")
        found[metric] = Limit(
            fields.number("bound"), fields.boolean("at_most"), fields.text("unit")
        )
    return found


def _front(fields: Fields) -> list[list[float]]:
    points, n_goals = fields.items("front"), len(fields.mapping("goals"))
    for point in points:
        good = isinstance(point, list) and len(point) == n_goals and all(map(is_number, point))
        if not good:
            refuse("header.front", f"points of {n_goals} finite numbers", point)
    return [[float(x) for x in point] for point in points]


def _space(space: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for name, description in space.items():
        Fields(description, f"header.space.{name}").text("type")
    return space


def _fidelities(fields: Fields, event: dict[str, Any]) -> Fidelities | None:
    if event.get("fidelities") is None:
        return None
    grid = fields.items("fidelities")
    if not all(map(is_number, grid)):
        refuse("header.fidelities", "a list of finite numbers", grid)
    return Fidelities(tuple(map(float, grid)))


def _resources(resources: dict[str, Any]) -> Resources:
    fields = Fields(resources, "header.resources")
    return Resources(fields.whole("gpus"), fields.whole("cores"), fields.boolean("whole_host"))


def _coco(coco: Any) -> tuple[str, int, int] | None:
    if coco is None:
        return None
    good = isinstance(coco, list) and len(coco) == 3 and isinstance(coco[0], str)
    if not good or not all(is_whole(x, 0) for x in coco[1:]):
        refuse("header.coco", "a suite, a function and an instance", coco)
    return coco[0], coco[1], coco[2]
