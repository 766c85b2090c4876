"""The header of a log: what the run is, and all that its readers need to know of its problem."""

from dataclasses import dataclass
from typing import Any

from experiments.running.fields import Fields, is_number, is_whole, wrong
from objectives.objective import Resources
from objectives.trial import Config, Fidelities, Goal

FORMAT = 2


@dataclass(frozen=True)
class Header:
    """The first event of a log.

    Attributes:
        identity: digest of what the run is: names, settings, seed, workers, versions, fingerprint.
        names: of the YAML files, by family: `optimizer` and `objective`.
        optimizer: its settings, resolved. A node that stands for an object has the key `class`.
        objective: likewise.
        seed: of the run.
        budget: in full-evaluation equivalents, as the run began.
        workers: how many trials are evaluated at once.
        optimizer_version: of the optimizer's class.
        goals: by metric; `value` stands for the first. Empty: the value itself is minimised.
        space: the parameters in the YAML form of `objectives/space.py`; None: not known.
        forbidden: combinations of values that no configuration holds.
        fidelities: the shares of a full evaluation on offer; None: full evaluations only.
        resources: what one evaluation needs of a machine.
        default: the configuration that an engineer would start from, or None.
        coco: suite, function and instance, where the problem is one of COCO's as it is.
        noise_sd: standard deviation of the value over evaluations of one configuration.
        optimum: the least value, where it is known.
        notice: a line that must stand beside every result, or None.
        fingerprint: the objective's version, and digests of its data and model.
        code: version and commit.
        versions: of Python and the packages.
        hardware: of the machine that began the run.
        time: seconds since 1970 when the run began; 0 before.
        written: the optimizer's settings as they were written, with `${budget}` in them; None where
            that is what `optimizer` says. The identity is computed from these.
        first_format: the format in which the log was written; its identity follows the rules of
            that format.
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
    first_format: int = FORMAT

    @property
    def metric(self) -> str | None:
        """The metric that `value` stands for; None where it stands for itself."""
        return next(iter(self.goals), None)

    def to_json(self) -> dict[str, Any]:
        """Return the event that stands in the log."""
        plain = {
            **vars(self),
            "goals": {name: goal.to_json() for name, goal in self.goals.items()},
            "fidelities": None if self.fidelities is None else list(self.fidelities.grid),
            "resources": self.resources.to_json(),
            "coco": None if self.coco is None else list(self.coco),
        }
        if self.written is None:
            del plain["written"]
        if self.first_format == FORMAT:
            del plain["first_format"]
        return {"event": "header", "format": FORMAT, **plain}

    @classmethod
    def from_json(cls, event: Any) -> "Header":
        """Return the header that an event of this format holds.

        Raises:
            ValueError: a key is missing, or its value is of another type.
        """
        fields = Fields(event, "header")
        if event.get("format") != FORMAT:
            wrong("header.format", str(FORMAT), event.get("format"))
        names = fields.texts("names")
        if not names.keys() >= {"optimizer", "objective"}:
            wrong("header.names", "the names of optimizer and objective", names)
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
            first_format=fields.whole("first_format", 1) if "first_format" in fields else FORMAT,
        )


def _budget(fields: Fields) -> float:
    budget = fields.number("budget")
    return budget if budget > 0 else wrong("header.budget", "a positive number", budget)


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


def _space(space: dict[str, Any]) -> dict[str, dict[str, Any]]:
    for name, description in space.items():
        Fields(description, f"header.space.{name}").text("type")
    return space


def _fidelities(fields: Fields, event: dict[str, Any]) -> Fidelities | None:
    if event.get("fidelities") is None:
        return None
    grid = fields.items("fidelities")
    if not all(map(is_number, grid)):
        wrong("header.fidelities", "a list of finite numbers", grid)
    return Fidelities(tuple(map(float, grid)))


def _resources(resources: dict[str, Any]) -> Resources:
    fields = Fields(resources, "header.resources")
    return Resources(fields.whole("gpus"), fields.whole("cores"), fields.boolean("whole_host"))


def _coco(coco: Any) -> tuple[str, int, int] | None:
    if coco is None:
        return None
    good = isinstance(coco, list) and len(coco) == 3 and isinstance(coco[0], str)
    if not good or not all(is_whole(x, 0) for x in coco[1:]):
        wrong("header.coco", "a suite, a function and an instance", coco)
    return coco[0], coco[1], coco[2]
