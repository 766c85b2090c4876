"""Malformed tables, traces and spaces lead to one readable line, or are read correctly."""

import copy
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from malformed import ODD, damaged
from objectives.serving.load.arrivals import plan
from objectives.space import UnitCube, build_space, check
from objectives.tabular import Tabular

CELLS = (
    "NA nan inf -inf 1e400 1,000 1_000 0x1F 010 -0 1.0 1e0 .5 5. true TRUE False yes on None null "
    "~ 2020-01-01 1:30 ½ ١ - -- + e5 1e 1.2.3 # =1+1 '"
).split() + ["", " ", '"', '""', "\t", "\ufeff", "a\nb", "\x00", "a" * 200, " 7 "]

TABLE = (
    b"seed,lr,kind,flag,n,v,s\n"
    b"1,0.001,a,true,1,0.5,1.0\n1.0,0.01,b,False,2,0.4,2.0\n2,0.1,,TRUE,3,0.9,1.5\n"
)
TRACES = (
    b"arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.25,396,109\n5.5,8,9\n",
    b"TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.6805900,374,44\n"
    b"2023-11-16 18:15:50.9305900,396,109\n",
    b'{"timestamp": 0, "input_length": 374, "output_length": 44}\n'
    b'{"timestamp": 4.25, "input_length": 396, "output_length": 109}\n',
)


def _recelled(content: bytes, rng: random.Random) -> bytes:
    """Return a table with one cell replaced, in quotes if it needs them."""
    rows = [line.split(",") for line in content.decode().splitlines()]
    row = rng.choice(rows)
    cell = rng.choice(CELLS)
    quoted = '"' + cell.replace('"', '""') + '"' if rng.random() < 0.7 else cell
    row[rng.randrange(len(row))] = quoted
    return "\n".join(",".join(cells) for cells in rows).encode() + b"\n"


def _mutated(content: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not content:
            break
        recell = rng.random() < 0.6
        try:
            content = (_recelled if recell else damaged)(content, rng)
        except UnicodeDecodeError:
            content = damaged(content, rng)
    return content


def _one_line(error: ValueError) -> None:
    text = str(error)
    assert text and len(text.splitlines()) == 1, repr(text)
    assert "expected" in text, text


WHERES: list[dict[str, Any]] = [{}, {"seed": 1}, {"flag": True}, {"kind": None}, {"v": [0.5, "x"]}]
VALUES: list[Any] = ["v", {"column": "v", "maximise": "one minus"}]
OTHERS: list[Any] = [*ODD, "float", "int", "a", 2, [2, 4], "n"]


def test_a_damaged_table_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    n_read = n_refused = 0
    for seed in range(2000):
        rng = random.Random(seed)
        path.write_bytes(_mutated(TABLE, rng))
        try:
            table = Tabular(
                data=str(path),
                where=rng.choice(WHERES),
                parameters=rng.choice([["lr", "kind"], ["lr", "flag", "n"], ["kind", "seed"]]),
                value=rng.choice(VALUES),
                metrics=[],
                cost=rng.choice([None, "s"]),
                space={},
                lookup="exact",
                tolerance=0.0,
                replicates="mean",
                seed=0,
            )
        except ValueError as error:
            _one_line(error)
            n_refused += 1
        else:
            assert table.optimum is not None and np.isfinite(table.optimum)
            for config in table.minimisers:
                check(table.space, config)
                assert json.loads(json.dumps(config)) == config
            n_read += 1
    assert n_read > 300 and n_refused > 300


def test_a_damaged_trace_is_read_or_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    n_read = n_refused = 0
    for seed in range(3000):
        rng = random.Random(seed)
        path.write_bytes(_mutated(rng.choice(TRACES), rng))
        load = {
            "arrivals": "trace",
            "trace": str(path),
            "requests": 1,
            "time_scale": rng.choice([1.0, 1.0, 1e-3, 1e300]),
            "token_scale": rng.choice([1.0, 1.0, 1.0, 0.1, 1e9]),
            "shared_prefix": 0,
        }
        try:
            read = plan(load, 0)
        except ValueError as error:
            _one_line(error)
            n_refused += 1
        else:
            assert read.arrivals_s is not None and np.isfinite(read.arrivals_s).all()
            assert (np.diff(read.arrivals_s) >= 0).all()
            assert 2 <= read.largest <= 2_000_000
            n_read += 1
    assert n_read > 100 and n_refused > 300


SPACE: dict[str, dict[str, Any]] = {
    "rate": {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True},
    "n": {"type": "int", "lower": 1, "upper": 9, "log": False},
    "kind": {"type": "categorical", "choices": ["a", "b", "c"]},
    "flag": {"type": "categorical", "choices": [True, False]},
    "level": {"type": "ordinal", "choices": [1, 2, 4], "when": {"kind": ["a", "b"], "flag": True}},
    "fixed": {"type": "constant", "value": 3, "when": {"level": 2}},
}
FORBIDDEN: list[dict[str, Any]] = [{"kind": "a", "n": 3}, {"flag": True, "kind": ["b", "c"]}]


def _places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = list(value) if isinstance(value, dict) else range(len(value))
    below = [
        place
        for key in keys
        if isinstance(value[key], (dict, list))
        for place in _places(value[key], (*at, key))
    ]
    return [*((*at, key) for key in keys), *below]


def _changed(described: Any, rng: random.Random) -> Any:
    """Return a description with some values replaced, removed or renamed."""
    made = copy.deepcopy(described)
    for _ in range(rng.choice([1, 1, 2, 3])):
        places = _places(made)
        if not places:
            break
        path = rng.choice(places)
        parent = made
        for key in path[:-1]:
            parent = parent[key]
        act = rng.random()
        if act < 0.7:
            parent[path[-1]] = copy.deepcopy(rng.choice(OTHERS))
        elif act < 0.85 or not isinstance(parent, dict):
            del parent[path[-1]]
        else:
            parent[rng.choice(["kind", "type", "", "model.lr", "choices"])] = parent.pop(path[-1])
    return made


def _described(rng: random.Random) -> tuple[Any, Any]:
    if rng.random() < 0.5:
        return _changed(SPACE, rng), FORBIDDEN
    return SPACE, _changed(FORBIDDEN, rng)


def test_a_damaged_description_is_built_or_refused_in_one_line() -> None:
    n_built = n_refused = 0
    for seed in range(3000):
        rng = random.Random(seed)
        parameters, forbidden = _described(rng)
        try:
            cube = UnitCube(build_space(parameters, forbidden))
            point = cube.draw(np.random.default_rng(seed))[0]
        except ValueError as error:
            _one_line(error)
            n_refused += 1
        else:
            check(cube.space, cube.config(point))
            n_built += 1
    assert n_built > 300 and n_refused > 300


@pytest.mark.parametrize("given", [None, 3, "x", [], [1], True])
def test_what_is_no_description_at_all_is_refused_in_one_line(given: Any) -> None:
    with pytest.raises(ValueError) as raised:
        build_space(given)
    _one_line(raised.value)
