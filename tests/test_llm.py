"""Facts of the language model as optimizer: repairs, its share, and that a replay never calls."""

import json
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ConfigSpace import ConfigurationSpace

from asking import MIXED, SPACES, answers, converse, floats
from experiments.running.run import Run, RunSettings
from objectives.space import UnitCube, build_space, check
from objectives.trial import Config, Evaluation, Trial
from optimizers.cma_es import CmaEs
from optimizers.llm import LanguageModel, schema
from optimizers.llm_endpoint import FILE
from optimizers.llm_proposal import PROPOSED, REPAIRED, proposal
from scripted_endpoint import Script, a_step_from_the_best, endpoint

SPACE = build_space(
    {
        "n": {"type": "int", "lower": 1, "upper": 8},
        "rate": {"type": "float", "lower": 1e-4, "upper": 1.0, "log": True},
        "kind": {"type": "categorical", "choices": ["Adam", "SGD"]},
        "flag": {"type": "categorical", "choices": [True, False]},
    }
)
WHOLE: Config = {"n": 3, "rate": 0.5, "kind": "SGD", "flag": False}


@pytest.fixture
def served() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with endpoint() as found:
        yield found


def _make(space: ConfigurationSpace, url: str | None, **changes: Any) -> LanguageModel:
    settings: dict[str, Any] = {
        "url": url,
        "model": "scripted",
        "n_random": 2,
        "history": 6,
        "temperature": 0.5,
        "max_tokens": 100,
        "timeout_s": 5,
        "structured": False,
        "share": 1.0,
    }
    return LanguageModel(space, seed=0, **{**settings, **changes})


@pytest.mark.parametrize(
    ("text", "config", "fate"),
    [
        (json.dumps(WHOLE), WHOLE, PROPOSED),
        (f"Sure {{}} ```json\n{json.dumps(WHOLE)}``` I hope it helps.", WHOLE, PROPOSED),
        (json.dumps({**WHOLE, "n": 99, "rate": -1}), {**WHOLE, "n": 8, "rate": 1e-4}, REPAIRED),
        (json.dumps({**WHOLE, "n": "4", "kind": " sgd"}), {**WHOLE, "n": 4}, REPAIRED),
        (json.dumps({**WHOLE, "flag": "false", "more": 1}), WHOLE, REPAIRED),
        ('{"n": 5, "rate": NaN}', {**WHOLE, "n": 5, "rate": 0.25}, REPAIRED),
        ('{"n": true, "kind": "lion"}', {**WHOLE, "n": 2, "rate": 0.25}, REPAIRED),
        ("I would rather not.", None, REPAIRED),
        ("[1, 2] {broken", None, REPAIRED),
    ],
)
def test_an_answer_is_read_and_repaired(text: str, config: Config | None, fate: str) -> None:
    best: Config = {"n": 2, "rate": 0.25, "kind": "SGD", "flag": False}
    assert proposal(text, SPACE, UnitCube(SPACE), best) == (config, fate)


def test_what_is_missing_without_an_incumbent_is_the_middle_and_inactive_ones_are_dropped() -> None:
    space = SPACES["conditional"]
    found, fate = proposal('{"kernel": "linear", "c": 1, "width": 2}', space, UnitCube(space), None)
    assert found == {"kernel": "linear", "c": 1.0} and fate == PROPOSED
    found, _ = proposal('{"kernel": "poly"}', space, UnitCube(space), None)
    assert found is not None
    check(space, found)


def test_a_forbidden_combination_is_no_proposal() -> None:
    text = json.dumps({"kind": "a", "flag": False, "level": "high", "n": 3, "x": 0.0, "fixed": 7})
    assert proposal(text, MIXED, UnitCube(MIXED), None)[0] is None


def test_the_schema_states_types_bounds_and_scales() -> None:
    assert schema(SPACE, UnitCube(SPACE)) == {
        "n": {"type": "integer", "minimum": 1, "maximum": 8},
        "rate": {"type": "number", "minimum": 1e-4, "maximum": 1.0, "scale": "logarithmic"},
        "kind": {"enum": ["Adam", "SGD"]},
        "flag": {"enum": [True, False]},
    }


def test_the_history_is_in_the_prompt_with_the_best_evaluation_last() -> None:
    with endpoint() as (url, bodies):
        optimizer = _make(floats(2), url, n_random=4)

        def answer(trial: Trial) -> Evaluation:
            if trial.id == 1:
                return Evaluation(None, 1.0, error="it broke")
            return Evaluation([3.0, 0.0, 1.0, 2.0][trial.id], 1.0)

        told = converse(optimizer, answer, 4)
        optimizer.ask(2)
    lines = [line for line in bodies[0]["messages"][1]["content"].splitlines() if "->" in line]
    assert lines == [
        f"{json.dumps(told[i].config)} -> {text}"
        for i, text in ((1, "failed"), (0, "3"), (3, "2"), (2, "1"))
    ]
    assert "Being evaluated now" not in bodies[0]["messages"][1]["content"]
    assert "Being evaluated now" in bodies[1]["messages"][1]["content"]
    assert bodies[0]["model"] == "scripted" and bodies[0]["seed"] != bodies[1]["seed"]


def test_the_endpoint_is_asked_to_enforce_the_schema_only_where_that_is_set() -> None:
    space = SPACES["conditional"]
    with endpoint() as (url, bodies):
        for structured in (True, False):
            converse(_make(space, url, structured=structured, n_random=1), answers(space), 2)
    asked, free = bodies
    schema = asked["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["kernel", "c"]
    assert schema["properties"]["c"] == {"type": "number", "minimum": 1e-4, "maximum": 1e4}
    assert "response_format" not in free


def _says(text: str) -> Script:
    return lambda body: text


@pytest.mark.parametrize(
    ("script", "counts"),
    [
        (a_step_from_the_best, {"proposed": 6, "repaired": 0, "random": 0}),
        (_says("no"), {"proposed": 0, "repaired": 0, "random": 6}),
        (_says('{"x0": 99, "rate": 0.5}'), {"proposed": 0, "repaired": 1, "random": 5}),
        (_says('{"x0": 1, "rate": 0.5}'), {"proposed": 1, "repaired": 0, "random": 5}),
    ],
)
def test_proposals_are_counted_and_what_was_asked_before_is_not_asked_again(
    script: Script, counts: dict[str, int]
) -> None:
    with endpoint(script) as (url, _):
        optimizer = _make(floats(2), url)
        trials = converse(optimizer, answers(floats(2)), 8)
    assert optimizer.counts == counts
    assert len({json.dumps(trial.config) for trial in trials}) == 8


def test_the_trials_are_shared_with_a_partner_that_learns_from_all_of_them() -> None:
    told: list[int] = []

    class Listening(CmaEs):
        def tell(self, trial: Trial, evaluation: Evaluation) -> None:
            told.append(trial.id)
            super().tell(trial, evaluation)

    partner = partial(Listening, sigma0=0.3, population_size=6, restart_factor=1)
    with endpoint() as (url, bodies):
        optimizer = _make(floats(3), url, share=0.3, partner=partner, n_random=1)
        trials = converse(optimizer, answers(floats(3)), 20)
    assert [trial.id for trial in trials] == told == list(range(20))
    assert len(bodies) == 6  # floor(20 * 0.3)
    assert sum(optimizer.counts.values()) == 6


def test_answers_in_the_runs_folder_are_used_again_and_nobody_is_called(
    tmp_path: Path, served: tuple[str, list[dict[str, Any]]]
) -> None:
    url, bodies = served
    first = _make(floats(2), url)
    first.folder = tmp_path
    trials = converse(first, answers(floats(2)), 8)
    assert len(bodies) == 6 == len((tmp_path / FILE).read_text().splitlines())
    again = _make(floats(2), None)  # there is no endpoint any more
    again.folder = tmp_path
    assert converse(again, answers(floats(2)), 8) == trials
    assert again.counts == first.counts
    assert len((tmp_path / FILE).read_text().splitlines()) == 6


def test_a_half_written_answer_is_asked_again_and_a_damaged_one_is_an_error(
    tmp_path: Path, served: tuple[str, list[dict[str, Any]]]
) -> None:
    url, bodies = served
    optimizer = _make(floats(2), url)
    optimizer.folder = tmp_path
    trials = converse(optimizer, answers(floats(2)), 5)
    path = tmp_path / FILE
    path.write_bytes(path.read_bytes()[:-10])
    again = _make(floats(2), url)
    again.folder = tmp_path
    assert converse(again, answers(floats(2)), 5) == trials
    assert len(bodies) == 4 and len(path.read_text().splitlines()) == 3
    path.write_text("{}\n" + path.read_text())
    damaged = _make(floats(2), url, n_random=1)
    damaged.folder = tmp_path
    with pytest.raises(ValueError, match=r"expected an answer in line 1, got '\{\}'"):
        converse(damaged, answers(floats(2)), 5)


def _run(url: str, budget: float) -> Run:
    return Run(
        RunSettings(
            names={"optimizer": "llm", "objective": "branin"},
            optimizer={
                "_target_": "optimizers.llm.LanguageModel",
                "url": url,
                "model": "scripted",
                "n_random": 4,
                "history": 30,
                "temperature": 0.7,
                "max_tokens": 100,
                "timeout_s": 5,
                "structured": True,
                "share": 1.0,
            },
            objective={
                "_target_": "objectives.functions.synthetic.Branin",
                "shift": 0,
                "space": {},
            },
            seed=0,
            budget=budget,
        )
    )


def test_a_run_resumes_from_its_log_after_the_endpoint_is_gone(tmp_path: Path) -> None:
    with endpoint() as (url, bodies):
        whole = _run(url, 9)
        with whole.open(tmp_path / "whole") as log:
            whole.execute(log)
        trials = list(log.history.trials.values())
        assert len(bodies) == 5
    cut = tmp_path / "cut"
    cut.mkdir()
    lines = (tmp_path / "whole" / "log.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "log.jsonl").write_bytes(b"".join(lines[:12]))  # five evaluations and a half
    (cut / FILE).write_bytes((tmp_path / "whole" / FILE).read_bytes())
    resumed = _run(url, 9)
    with resumed.open(cut) as log:
        resumed.execute(log)
    assert list(log.history.trials.values()) == trials and not log.history.drifts()


def test_without_an_endpoint_the_message_says_what_to_set() -> None:
    with pytest.raises(ValueError, match=r"^llm.url: expected the address .* TUNEOFF_LLM_URL$"):
        converse(_make(floats(2), None), answers(floats(2)))
    nobody = _make(floats(2), "http://127.0.0.1:9/v1")
    with pytest.raises(ConnectionError, match=r"^llm.url: expected an answer from http://127"):
        converse(nobody, answers(floats(2)))
    with pytest.raises(ValueError, match=r"llm.partner: expected an optimizer"):
        _make(floats(2), None, share=0.5)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", b"SSH-2.0\r\n"]
)
def test_an_answer_that_breaks_off_or_is_no_http_is_said_in_one_line(answer: bytes) -> None:
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    port = listening.getsockname()[1]
    asked = _make(floats(2), f"http://127.0.0.1:{port}/v1")
    with listening, pytest.raises(ConnectionError, match=r"^llm.url: expected an answer from"):
        converse(asked, answers(floats(2)))
    thread.join()


@pytest.mark.slow
def test_a_real_model_on_llama_cpp_answers_and_its_run_is_replayed(tmp_path: Path) -> None:
    from llama_server import serving  # needs the extra `serving` and the shipped model

    with serving() as url:
        optimizer = _make(SPACE, url, timeout_s=300, max_tokens=60, structured=True)
        optimizer.folder = tmp_path
        trials = converse(optimizer, answers(SPACE), 5)
    assert sum(optimizer.counts.values()) == 3
    assert optimizer.counts["proposed"] >= 1  # under the schema, and not asked before
    again = _make(SPACE, None)
    again.folder = tmp_path
    assert converse(again, answers(SPACE), 5) == trials
