"""Malformed command lines, drawn with a seed."""

import random

VALUES = {
    "path": ["", " ", "5", "-1.5", "[1,2]", "{a: b}", "true", "~no_such_user_of_this_host/x", "\0"],
    "number": ["", "x", "nan", "inf", "-inf", "-1", "1e999", "0x10", "[0.1]", "0,1", "true", "١٢x"],
    "whole": ["", "x", "0", "-1", "1.5", "1e3", "nan", "true", "[1]", "1,2", "9" * 30, "²"],
    "choice": ["", "x", "None", "1", "[auto]", "TRUE_", "{", "\x1b[31m"],
    "by metric": ["", "x", "5", "[1]", "{}", "{a: x}", "{a: .nan}", "{a: [1]}", "{a", "{\x1b: 1}"],
}
NOT_WORDS = ["--fast", "--out", "-x", "--", "--no-such=1", "---", "-"]
ODD = [
    "é=1",
    "=",
    "=x",
    "a b=c",
    "\x1b[31m=1",
    "${x}=1",
    "'=1",
    "\n",
    "{}",
    "out ",
    "a=b=c",
    "@",
    "\udcff",
]

KEYS = {
    "sweep": {
        "out": "path",
        "runs": "whole",
        "workers": "whole",
        "budget": "number",
        "progress": "choice",
        "tracking": "choice",
        "retry": "choice",
        "seeds": "whole",
    },
    "status": {"out": "path"},
    "watch": {
        "port": "whole",
        "serve": "choice",
        "once": "choice",
        "every": "number",
        "out": "path",
    },
    "pack": {"out": "path"},
    "best": {"format": "choice", "limits": "by metric"},
    "confirm": {"out": "path", "top": "whole", "repeats": "whole"},
    "verdict": {
        "direction": "choice",
        "level": "number",
        "equal": "number",
        "pairs": "path",
        "references": "by metric",
    },
    "compare": {"out": "path"},
    "report": {
        "out": "path",
        "direction": "choice",
        "equal": "number",
        "references": "by metric",
    },
    "export": {"out": "path", "format": "choice"},
    "check": {"optimizer": "choice", "objective": "choice"},
}
BEFORE = {"sweep": ["experiment=smoke"], "status": ["experiment=smoke"], "check": []}
"""The words before the malformed one; commands without an entry get a folder of runs."""


def lines(seed: int, folder: str, n_each: int) -> list[list[str]]:
    """Return malformed command lines of every command that reads its words itself.

    Args:
        seed: the seed of the draws.
        folder: a folder of runs.
        n_each: the number of lines with malformed words for each command.
    """
    rng = random.Random(seed)
    found = [["nope"], ["--verson"], ["Run"], ["run.py"], ["\x1b[2J"]]
    for command, keys in KEYS.items():
        before = BEFORE.get(command, [folder])
        for key, kind in keys.items():
            seen = [value for value in VALUES[kind] if not _may_be(command, key, value)]
            found += [[command, *before, f"{key}={value}"] for value in seen]
            found.append([command, *before, f"--{key}", rng.choice(VALUES[kind])])
            found.append([command, *before, f"{key[:-1]}{key[-1]}_=1"])
        for _ in range(n_each):
            word = rng.choice(NOT_WORDS + ODD)
            found.append([command, *rng.sample([*before, word], len(before) + 1)])
    return found


def _may_be(command: str, key: str, value: str) -> bool:
    """Return whether a value that is malformed elsewhere is valid for this key."""
    zero = value == "0" and key in ("level", "equal", "seeds")
    one_seed = key == "seeds" and value in ("[1]", "1,2")
    return zero or one_seed or (command == "verdict" and key == "equal" and value == "0")


SWEEP = [
    "optimizers=[1]",
    "optimizers=[]",
    "optimizers={a: b}",
    "optimizers=soo",
    "optimizers=[soo",
    "optimizers=['']",
    'optimizers=["soo \'"]',
    "optimizers=[nope]",
    "optimizers=[[soo]]",
    "optimizers=[null]",
    "optimizers=[soo,soo]",
    "optimizers=[soo fast]",
    "optimizers=[soo optimizer.k=nan]",
    "optimizers=[soo optimizer.varient=1]",
    "optimizers=[soo optimizer.k='range(0,1000000000000)']",
    "optimizers=[--out]",
    "optimizers=[soo --out=x]",
    "objectives=[branin objective.shift=x]",
    "objectives=[branin objective.space.x9.upper=1]",
    "objectives=[x/y]",
    "objectives=[branin objective.shift=${nope}]",
    "objectives=[branin budget=3]x",
    "objectives=" + "[" * 5000,
    "seeds=range(0,1000000000000)",
    "seeds=range(3,3)",
    "seeds=[]",
    "seeds=[true]",
    "seeds=[1.5]",
    "seeds=[-1]",
    "seeds=[1,1]",
    "seeds=[a]",
    "seeds=range(a,b)",
    "seeds=010,1",
    "seeds=1:30,2",
    "seeds=0x10,1",
    "seeds=range(0,3",
    "seeds={a: b}",
    "seeds=1,a",
    "seeds=[null]",
    "seeds=[99999999999999]",
    "workers=99999",
    "budget=1e12",
    "experiment=nope",
    "experiment=",
    "experiment=x.yaml",
    "experiment=~no_such_user_of_this_host/x.yaml",
    "experiment=smoke.yml",
]
"""Values that the experiment `smoke` cannot take."""

RUN = {
    "seed": VALUES["whole"][:2]
    + ["-1", "1.5", "nan", "true", "[1]", "9" * 30, "{a:1}", "${x}", "null"],
    "workers": ["", "x", "0", "-1", "1.5", "inf", "true", "[1]", "99999", "${seed}"],
    "budget": ["", "x", "0", "-1", "nan", "inf", "1e12", "true", "[1]", "${nope}", "null"],
    "evaluation_timeout_s": ["x", "0", "-1", "nan", "inf", "true", "[1]"],
    "out": [
        "",
        "5",
        "1.5",
        "[1,2]",
        "{a:b}",
        "true",
        "${nope}",
        "~no_such_user_of_this_host/x",
        "/proc/x",
    ],
    "plot": ["", "x", "1", "[true]", "null", "{a:b}"],
    "progress": ["", "x", "1", "[auto]", "null"],
    "tracking": ["", "x", "1", "[none]", "null", "mlfow"],
    "executor": ["", "x", "[auto]", "null", "TRUE"],
    "optimizer": ["", "x", "[nan]", "null", "{a:b}", "soo.yaml", "../soo", "TRUE", "soo,lhs"],
    "objective": ["", "x", "[nan]", "null", "branin/x", "${x}", "1"],
    "optimizer.k": ["", "x", "0", "nan", "inf", "-inf", "[1]", "{a:b}", "null", "${nope}", "true"],
    "optimizer.varient": ["v2", "", "[", "nan"],
    "objective.shift": ["x", "nan", "inf", "[1]", "{a:b}", "${oc.env:NO_SUCH_VARIABLE_HERE}"],
    "objective.space.x1.upper": ["x", "nan", "inf", "-99", "[1]", "true", "${nope}"],
    "objective.space.x1.type": ["flaot", "1", "[float]"],
    "objective.space.x1": [
        "one",
        "x",
        "[1]",
        "null_",
        "{type:int}",
        "{upper:{a:b}}",
    ],
    "objective.space.x9.upper": ["1"],
    "objective.space.model.lr.upper": ["1"],
    'objective.space."model.lr".upper': ["1"],
    "objective.inner": ["x", "{a:b}"],
    "objective._target_": ["no.such.Class", "", "1", "builtins.dict", "json.loads", "os", "[a]"],
    "optimizer._target_": ["no.such.Class", "", "objectives", "builtins.dict", "json.loads"],
    "optimizer/x": ["TRUE", "soo", ""],
    "objective/launcher": ["ssh", "nope"],
    "experiment": ["smoke", ""],
    "+experiment": ["smoke"],
    "+new": ["1"],
    "++new": ["1", "{a:b}"],
    "+optimizer.new": ["1", "{a:b}"],
    "~budget": ["", "50"],
    "hydra.run.dir": ["${nope}"],
    "hydra": ["x", "1"],
}
RUN_WORDS = [
    "~optimizer",
    "~budget",
    "~nope",
    "fast",
    "",
    " ",
    "=",
    "=1",
    "--out",
    "-x",
    "--cfg",
    "--resolve",
    "--cfg=nope",
    "--config-dir",
    "--config-dir=/no/such",
    "--multirn",
    "é",
    "a b",
    "'",
    "{",
    "[" * 3000,
    "budget",
    "budget:5",
    "budget==5",
    "\x1b[31m",
    "objective.space",
    "optimizer.k.x=1",
]


def run_lines() -> list[list[str]]:
    """Return malformed command lines of `tuneoff run`."""
    before = ["optimizer=soo", "objective=branin", "budget=2", "plot=false"]
    keyed = [[*before, f"{key}={value}"] for key, values in RUN.items() for value in values]
    return keyed + [[*before, word] for word in RUN_WORDS]
