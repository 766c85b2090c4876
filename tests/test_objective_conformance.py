"""Every objective satisfies the conformance suite, and its YAML file the rules for YAML files."""

import inspect
import os
from pathlib import Path

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
    parameters = inspect.signature(get_class(settings["_target_"])).parameters.values()
    assert {p.kind for p in parameters} == {inspect.Parameter.KEYWORD_ONLY}
    assert {p.default for p in parameters} == {inspect.Parameter.empty}
    assert {p.name for p in parameters} == set(settings) - {"_target_"}


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_setting_is_refused(name: str) -> None:
    with pytest.raises(InstantiationException, match="misspelt"):
        instantiate(ObjectiveYaml(name).plain_settings(), misspelt=1, _convert_="all")


@pytest.mark.parametrize("name", NAMES)
def test_the_comments_state_the_fidelities(name: str) -> None:
    fidelities = ObjectiveYaml(name)().fidelities
    expected = None if fidelities is None else pytest.approx(fidelities.grid)
    assert stated(name) == expected
