"""The sources of data for LitGPT and lm_eval: their own downloads, or a data folder."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from objectives.cache import cache_folder
from objectives.lora_ft import task_files
from objectives.lora_ft.data import load, subset
from objectives.lora_ft.workbench import split

STOCK = "stock"


class Source(ABC):
    """A source of training instructions and questions."""

    name: str

    @abstractmethod
    def place(self, folder: Path, n_training: int | None) -> None:
        """Write the tools' input to a trial's folder; None means all instructions."""

    @abstractmethod
    def flags(self, folder: Path) -> list[str]:
        """Return the flags that choose LitGPT's data module."""

    @abstractmethod
    def environment(self, folder: Path) -> dict[str, str]:
        """Return the variables to add to the environment of the tools."""

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return values that identify the data."""


class Stock(Source):
    """LitGPT's own Alpaca (cleaned, without 2,000 rows) and lm_eval's own questions.

    Raises:
        ValueError: a subset was requested; the tools would take the first items, which are the
            easiest.
    """

    name = STOCK

    def __init__(self, sizes: dict[str, int | None]) -> None:
        for name, number in sizes.items():
            if number is not None:
                raise ValueError(
                    f"objective.{name}: expected null where data=stock, got {number}; give the "
                    "path of a data folder as objective.data"
                )

    def place(self, folder: Path, n_training: int | None) -> None:
        pass

    def flags(self, folder: Path) -> list[str]:
        place = (cache_folder() / "litgpt_alpaca").resolve()
        return ["--data=Alpaca", f"--data.download_dir={place}"]

    def environment(self, folder: Path) -> dict[str, str]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        return {"data": self.name}


class Local(Source):
    """A source of `data.py`, written as files to each trial's folder.

    Raises:
        ValueError: the source cannot be used, or a subject of MMLU has no question.
    """

    def __init__(self, source: str, sizes: dict[str, int | None], seed: int) -> None:
        data = load(source)
        self._fingerprint = {"data": data.source, "data_digest": data.digest}
        self.name = f"{data.source} ({data.digest[:8]})"
        self._hellaswag = subset(data.hellaswag, sizes["hellaswag_items"], seed)
        self._mmlu = subset(data.mmlu, sizes["mmlu_items"], seed)
        n_subjects = len({question.stratum for question in self._mmlu})
        if n_subjects != task_files.N_SUBJECTS:
            raise ValueError(
                f"objective.mmlu_items: expected questions of all {task_files.N_SUBJECTS} "
                f"subjects, which lm_eval's mmlu needs, got {len(self._mmlu)} questions of "
                f"{n_subjects} in the {data.source} data"
            )
        self._training, heldout = split(data.instructions, seed)
        self._heldout = heldout[: sizes["heldout_items"]]

    def place(self, folder: Path, n_training: int | None) -> None:
        task_files.instructions(folder, self._training[:n_training], self._heldout)
        task_files.hellaswag(folder, self._hellaswag)
        task_files.mmlu(folder, self._mmlu)

    def flags(self, folder: Path) -> list[str]:
        return ["--data=JSON", f"--data.json_path={folder}"]

    def environment(self, folder: Path) -> dict[str, str]:
        # A separate cache, so that earlier answers of the hub are not used.
        return {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}

    def fingerprint(self) -> dict[str, Any]:
        return self._fingerprint
