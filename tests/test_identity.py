"""The identity of a run: how the class of another distribution is named."""

from importlib import metadata

import pytest

from experiments.running.identity import without_paths


def test_every_installed_package_is_named_as_importlib_metadata_names_it() -> None:
    installed = metadata.packages_distributions()
    packages = [name for name in installed if name.isidentifier()]
    assert len(packages) > 50
    for package in packages:
        named = without_paths({"_target_": f"{package}.module.Class"})
        ours = package in ("objectives", "optimizers", "experiments")
        assert named == {"class": "Class" if ours else f"{installed[package][0]}:Class"}


def test_a_package_of_no_distribution_is_named_by_itself() -> None:
    named = without_paths({"_target_": "no_distribution_has_this.Class"})
    assert named == {"class": "no_distribution_has_this:Class"}


def test_the_file_lists_of_other_distributions_are_not_parsed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "importlib.metadata.packages_distributions", lambda: pytest.fail("it reads every file list")
    )
    named = without_paths({"_target_": "another_unknown_package.Class"})
    assert named == {"class": "another_unknown_package:Class"}
