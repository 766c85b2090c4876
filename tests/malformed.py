"""Valid logs and packs of all kinds, and seeded mutations of them, for tests of their readers."""

import copy
import json
import random
from collections.abc import Callable
from typing import Any

from made_headers import goal, header_event

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 7, 0.5, -0.5, 1e-320, 1e12, 1e150, 1e308, -1e308, 10**12,
    10**18, 2**63, 10**400, float("nan"), float("inf"), float("-inf"), "", "x", "1", "null",
    "\x1b[31mred",
    "=cmd|' /C calc'!A0", "../../x", "\ud800", "é" * 3, "a\nb\tc", [], [None], [[[]]], {}, {"": {}},
    {"a": 1}, [1, 2, 3], "a" * 5000, {"_target_": "os.system", "command": "true"}, "${oc.env:HOME}",
    "$x_{1}$", "<script>", "%s{0}", ["x"] * 3, {"x": [1]}, 1e6, 123456789.123,
]  # fmt: skip
"""Values of every JSON type, and values that are difficult for readers."""


def log(kind: int) -> list[dict[str, Any]]:
    """Return the events of a valid log; there are four kinds."""
    goals = goal("accuracy", minimise=False) if kind % 2 else {}
    space = {
        "x": {"type": "float", "lower": 0.001, "upper": 1.0, "log": True},
        "n": {"type": "int", "lower": 1, "upper": 9},
        "k": {"type": "categorical", "choices": ["a", "b"]},
        "d": {"type": "ordinal", "choices": [1, 2, 4], "when": {"k": "b"}},
    }
    about: dict[str, Any] = header_event(
        identity=f"kind {kind}", seed=kind, budget=6.0, goals=goals, space=space,
        optimizer={"class": "A", "n": 3, "inner": {"class": "B", "rate": 0.1}},
        objective={"class": "F", "shift": 1, "space": {"x": {"upper": 1.0}}},
        optimum=0.0, noise_sd=0.1, default={"x": 0.2, "n": 2, "k": "a"}, notice="data: small",
        code={"version": "1", "commit": "abc"}, versions={"numpy": "2"}, hardware={"cpu": "a"},
    )  # fmt: skip
    if kind >= 2:
        about = {**about, "format": 1, "metric": "accuracy" if kind % 2 else None}
    events: list[dict[str, Any]] = [about]
    for id in range(6):
        config = {
            "x": 0.1 + id / 10,
            "n": id + 1,
            "k": "ab"[id % 2],
            **({"d": 2} if id % 2 else {}),
        }
        fidelity = 0.5 if id == 1 and kind == 0 else 1.0
        trial = {"id": id, "config": config, "fidelity": fidelity}
        events.append(
            {
                "event": "ask",
                "n": 1,
                "trials": [trial],
                "ask_s": 0.1,
                "tell_s": {},
                "time": id + 5.0,
            }
        )
        failed = id == 3
        answer: dict[str, Any] = {
            "value": None if failed and kind % 2 else (6 - id) / 10,
            "cost": 1.0,
            "metrics": {} if failed else {"accuracy": 0.4 + id / 10, "loss": 0.5},
            "error": "RuntimeError: no" if failed else None,
            "time": id + 6.0,
        }
        if not failed and kind % 2:
            answer["items"] = {"accuracy": "gA=="}
        events.append({"event": "evaluation", "id": id, **answer})
    events.append({"event": "test", "id": 5, "metrics": {"held_out": 0.7}, "time": 12.0})
    events.append({"event": "end", "budget": 6.0, "spent": 6.0, "tell_s": {"5": 0.1}})
    return events


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values within a value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, each in inside:
        found.append((*at, key))
        if isinstance(each, dict | list):
            found += _places(each, (*at, key))
    return found


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def changed(events: list[Any], rng: random.Random) -> list[Any]:
    """Return JSON values with one to three of their parts replaced, removed, moved or repeated."""
    made = copy.deepcopy(events)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        places = _places(made)
        if not places:
            break
        path = rng.choice(places)
        parent, key = _at(made, path[:-1]), path[-1]
        act = rng.random()
        if act < 0.6:
            parent[key] = copy.deepcopy(rng.choice(ODD))
        elif act < 0.75:
            del parent[key]
        elif act < 0.85:
            parent[key] = copy.deepcopy(_at(made, rng.choice(places)))
        elif isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), copy.deepcopy(parent[key]))
        else:
            parent[rng.choice(["", "x", "event", "id", "class"])] = parent.pop(key)
    return made


def written(events: list[Any]) -> bytes:
    """Return JSON lines, as another program may write them."""
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return bytes with some bytes removed, added or changed."""
    lines = content.splitlines(keepends=True)
    place, line = rng.randrange(len(content)), rng.randrange(len(lines))
    acts: list[Callable[[], bytes]] = [
        lambda: content[:place],
        lambda: content[:place] + content[place + rng.randrange(1, 40) :],
        lambda: content[:place] + bytes([rng.randrange(256)]) + content[place + 1 :],
        lambda: content[:place] + b"\xff\xfe" + content[place:],
        lambda: content[:place] + b"NaN" + content[place:],
        lambda: content[:place] + b"-Infinity" + content[place:],
        lambda: content[:place] + b"1e999" + content[place:],
        lambda: content[:place] + b"9" * 5000 + content[place:],
        lambda: b"".join([*lines[:line], b"[" * 100_000, b"\n", *lines[line:]]),
        lambda: b"".join([*lines[:line], b'{"a":' * 500 + b"1" + b"}" * 500, b"\n", *lines[line:]]),
        lambda: b"".join([*lines[:line], *lines[line + 1 :]]),
        lambda: b"".join([*lines[:line], lines[line], *lines[line:]]),
        lambda: b"".join(rng.sample(lines, len(lines))),
        lambda: b"".join([*lines[:line], b"null\n", *lines[line:]]),
        lambda: content + b'{"event": "evaluati\n',
        lambda: content + bytes(200),
    ]  # fmt: skip
    return rng.choice(acts)()
