"""The part of a log's header that describes the earlier runs which were given to the optimizer."""

import re
from dataclasses import dataclass
from typing import Any

from experiments.running.fields import Fields
from objectives.expected import refuse


@dataclass(frozen=True)
class Transferred:
    """The earlier runs that an optimizer was given before its first ask.

    Attributes:
        digest: the SHA-256 of the configurations, values and failures. It is part of the identity.
        sources: the last name of each folder, or the folder's of a packed file.
        parameters: the parameters that the earlier runs had to share; None means all of them.
        tasks: for each task the `objective`'s name, its `settings`, and the numbers of `runs` and
            of `evaluations`.
    """

    digest: str
    sources: list[str]
    parameters: list[str] | None
    tasks: list[dict[str, Any]]

    def __str__(self) -> str:
        """Return the sources as a label shows them."""
        return "+".join(self.sources)

    def to_json(self) -> dict[str, Any]:
        """Return the fields as the header of a log holds them."""
        plain = dict(vars(self))
        if self.parameters is None:
            del plain["parameters"]
        return plain

    @classmethod
    def from_json(cls, value: Any) -> "Transferred":
        """Return the description that a header contains.

        Raises:
            ValueError: a key is missing, or its value is of another type.
        """
        fields = Fields(value, "header.transfer")
        digest = fields.text("digest")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            refuse("header.transfer.digest", "a SHA-256", digest)
        parameters = _texts(fields, "parameters") if "parameters" in fields else None
        tasks = [_task(each) for each in fields.items("tasks")]
        return cls(digest, _texts(fields, "sources"), parameters, tasks)


def _texts(fields: Fields, key: str) -> list[str]:
    items = fields.items(key)
    if not all(isinstance(item, str) for item in items):
        refuse(f"header.transfer.{key}", "a list of texts", items)
    return items


def _task(value: Any) -> dict[str, Any]:
    fields = Fields(value, "header.transfer.tasks")
    return {
        "objective": fields.text("objective"),
        "settings": fields.mapping("settings"),
        "runs": fields.whole("runs", 1),
        "evaluations": fields.whole("evaluations", 1),
    }
