"""Every objective satisfies the conformance suite, and its YAML file the rules for YAML files."""

import inspect
import os
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate

from experiments.running.fidelities import stated
from experiments.running.provenance import CONF
from experiments.testing.objective_suite import FACTS, ObjectiveSuite
from experiments.testing.plug_ins import ObjectiveYaml

NAMES = sorted(path.stem for path in (CONF / "objective").glob("*.yaml"))


@pytest.fixture(autouse=True)
def _on_a_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Provide programs and GPUs for which some objectives look in their constructor."""
    there = Path(__file__).with_name("stand_in_bin")
    monkeypatch.setenv("PATH", f"{there}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("fact", FACTS)
def test_an_objective_keeps_the_contract(fact: str, name: str) -> None:
    suite = ObjectiveSuite.of(ObjectiveYaml(name))()
    getattr(suite, fact)()


@pytest.mark.parametrize("name", NAMES)
def test_settings_have_their_defaults_in_the_yaml_alone(name: str) -> None:
    settings = ObjectiveYaml(name).plain_settings()
    made = get_class(settings["_target_"])
    parameters = dict(inspect.signature(made).parameters)
    typed: set[str] = set()
    for name, group in _typed_groups(made).items():
        del parameters[name]
        assert group.__required_keys__ == frozenset(get_type_hints(group))
        typed |= group.__required_keys__
    assert {p.kind for p in parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}
    assert {p.default for p in parameters.values()} == {inspect.Parameter.empty}
    assert {*parameters, *typed} == set(settings) - {"_target_"}


def _typed_groups(made: Any) -> dict[str, Any]:
    """Return the `TypedDict` of each `**settings: Unpack[...]` of a constructor, by its name."""
    hints = get_type_hints(made.__init__)
    parameters = inspect.signature(made).parameters.values()
    groups = [p.name for p in parameters if p.kind == inspect.Parameter.VAR_KEYWORD]
    return {name: get_args(hints[name])[0] for name in groups}


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_setting_is_refused(name: str) -> None:
    with pytest.raises(InstantiationException, match="misspelt"):
        instantiate(ObjectiveYaml(name).plain_settings(), misspelt=1, _convert_="all")


@pytest.mark.parametrize("name", NAMES)
def test_the_comments_state_the_fidelities(name: str) -> None:
    fidelities = ObjectiveYaml(name)().fidelities
    expected = None if fidelities is None else pytest.approx(fidelities.grid)
    assert stated(name) == expected
