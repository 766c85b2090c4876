"""The checkpoints that a trial saves so that another trial can continue it.

In the folder `checkpoints` of the run, a trial has up to two files:

    trial-7.json   its recipe: the configurations of its training, each with its last step
    trial-7.pt     its state after the last step: adapters and the optimizer's moments

A state has three times the size of the adapters in float32; a recipe is one line. States are
deleted as soon as they are no longer needed: a full training saves none, a state is deleted once a
trial of the same configuration has continued it, and all others are deleted at the end of the run.
Recipes are kept. If a state is missing, its recipe reproduces it bit by bit.
"""

import json
import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from objectives.lora_ft.settings import CHANGEABLE
from objectives.trial import Config, Trial


@dataclass(frozen=True)
class Segment:
    """A part of a training: a configuration, and the number of steps done at the part's end."""

    config: Config
    until: int


class States:
    """The checkpoints in a run's folder, which several processes may share.

    Args:
        folder: the run's folder; None means that nothing is saved and nothing can be continued.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "checkpoints"

    def recipe(self, trial_id: int) -> list[Segment]:
        """Return how a trial was trained.

        Raises:
            RuntimeError: the trial saved nothing.
        """
        if self._folder is None:
            raise RuntimeError(
                f"resumes: expected the folder of the run, in which trial {trial_id} left its "
                "checkpoint, got none"
            )
        path = self._folder / f"trial-{trial_id}.json"
        try:
            return [Segment(**segment) for segment in json.loads(path.read_text())]
        except FileNotFoundError:
            raise RuntimeError(
                f"resumes: expected the checkpoint of trial {trial_id}, got no {path}"
            ) from None

    def knows(self, trial_id: int) -> bool:
        """Return whether a trial saved its recipe."""
        return self._folder is not None and (self._folder / f"trial-{trial_id}.json").exists()

    def state(self, trial_id: int) -> dict[str, Any] | None:
        """Return a trial's state; None if it was deleted or is damaged."""
        assert self._folder is not None
        try:
            stored: dict[str, Any] = torch.load(
                self._folder / f"trial-{trial_id}.pt", weights_only=True, map_location="cpu"
            )
        except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError):
            return None
        return stored

    def save(self, trial_id: int, recipe: list[Segment], state: dict[str, Any] | None) -> None:
        """Save a recipe, and a state if another trial may continue it."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        if state is not None:
            half = self._folder / f"trial-{trial_id}.pt.{os.getpid()}"
            torch.save(state, half)
            os.replace(half, self._folder / f"trial-{trial_id}.pt")
        half = self._folder / f"trial-{trial_id}.json.{os.getpid()}"
        with half.open("w") as file:
            json.dump([vars(segment) for segment in recipe], file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, self._folder / f"trial-{trial_id}.json")

    def leave(self, trial: Trial, recipe: list[Segment], state: dict[str, Any] | None) -> None:
        """Save a trained trial, and delete the state that no other trial can continue any more."""
        self.save(trial.id, recipe, state)
        if trial.resumes is not None:
            if self.recipe(trial.resumes)[-1].config == trial.config:
                self.drop(trial.resumes)

    def drop(self, trial_id: int) -> None:
        """Delete a trial's state."""
        if self._folder is not None:
            (self._folder / f"trial-{trial_id}.pt").unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all states, including incomplete ones of killed processes."""
        if self._folder is not None:
            for path in self._folder.glob("trial-*.pt*"):
                path.unlink(missing_ok=True)


def continued(states: States, trial: Trial, until: int) -> list[Segment]:
    """Return the trainings, one after the other, that a trial's adapters come from.

    Args:
        until: the number of steps done at the trial's end.

    Raises:
        RuntimeError: the trial that it resumes saved nothing.
        ValueError: the trial cannot continue the one that it resumes.
    """
    mine = Segment(trial.config, until)
    if trial.resumes is None:
        return [mine]
    *before, last = states.recipe(trial.resumes)
    for name, value in trial.config.items():
        if name not in CHANGEABLE and last.config.get(name) != value:
            raise ValueError(
                f"resumes: expected {name}={last.config.get(name)} as in trial {trial.resumes}, "
                f"got {value}"
            )
    if last.until >= until:
        raise ValueError(
            f"fidelity: expected more than the {last.until} steps of trial {trial.resumes}, got "
            f"{until}"
        )
    return [*before, mine] if last.config == trial.config else [*before, last, mine]
