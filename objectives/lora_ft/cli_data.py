"""The sources of data for LitGPT and lm_eval: their own downloads, a data folder, or one file."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from objectives.cache import cache_folder
from objectives.lora_ft import task_files
from objectives.lora_ft.data import Data, Instruction, load, subset
from objectives.lora_ft.workbench import split

STOCK = "stock"


class Source(ABC):
    """A source of training instructions and perhaps questions.

    Attributes:
        name: the name in the notice of a run.
        tasks: lm_eval's tasks that can be scored; without any, only the held-out loss is measured.
    """

    name: str
    tasks: Sequence[str] = ("hellaswag", "mmlu")

    @abstractmethod
    def place(self, folder: Path, n_training: int | None, test: bool = False) -> None:
        """Write the tools' input to a trial's folder.

        Args:
            folder: the folder.
            n_training: the number of instructions to train on; None means all.
            test: whether a source without tasks writes its test instructions as the held-out ones.
        """

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

    def place(self, folder: Path, n_training: int | None, test: bool = False) -> None:
        pass

    def flags(self, folder: Path) -> list[str]:
        place = (cache_folder() / "litgpt_alpaca").resolve()
        return ["--data=Alpaca", f"--data.download_dir={place}"]

    def environment(self, folder: Path) -> dict[str, str]:
        return {}

    def fingerprint(self) -> dict[str, Any]:
        return {"data": self.name}


class Written(Source):
    """Instructions that are written as files to each trial's folder."""

    _training: Sequence[Instruction]
    _heldout: Sequence[Instruction]

    def __init__(self, data: Data) -> None:
        self._fingerprint = {"data": data.source, "data_digest": data.digest}
        self.name = f"{data.source} ({data.digest[:8]})"

    def flags(self, folder: Path) -> list[str]:
        return ["--data=JSON", f"--data.json_path={folder}"]

    def environment(self, folder: Path) -> dict[str, str]:
        # A separate cache, so that earlier answers of the hub are not used.
        return {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}

    def fingerprint(self) -> dict[str, Any]:
        return self._fingerprint


class Local(Written):
    """A data folder, with instructions and questions.

    Raises:
        ValueError: a subject of MMLU has no question.
    """

    def __init__(self, data: Data, sizes: dict[str, int | None], seed: int) -> None:
        super().__init__(data)
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

    def place(self, folder: Path, n_training: int | None, test: bool = False) -> None:
        task_files.instructions(folder, self._training[:n_training], self._heldout)
        task_files.hellaswag(folder, self._hellaswag)
        task_files.mmlu(folder, self._mmlu)


class Instructions(Written):
    """One file of instructions, split into those to train on, to tune for, and to test on.

    As many are tested on as are tuned for: `heldout_items` each, or half of the instructions that
    are held out.

    Raises:
        ValueError: the file has too few instructions for the three parts.
    """

    tasks = ()

    def __init__(self, data: Data, n_heldout: int | None, seed: int) -> None:
        super().__init__(data)
        self._training, others = split(data.instructions, seed, 2 * (n_heldout or 1))
        n_heldout = min(n_heldout or len(others), len(others) // 2)
        if n_heldout == 0 or not self._training:
            raise ValueError(
                "objective.data: expected at least eight different instructions, to train on, to "
                f"tune for and to test on, got {len(data.instructions)}"
            )
        self._heldout, self._test = others[:n_heldout], others[n_heldout : 2 * n_heldout]

    def place(self, folder: Path, n_training: int | None, test: bool = False) -> None:
        held = self._test if test else self._heldout
        task_files.instructions(folder, self._training[:n_training], held)


def source_of(name: str, sizes: dict[str, int | None], seed: int) -> Source:
    """Return the source that the setting `data` names.

    Raises:
        ValueError: the source cannot be used.
    """
    if name == STOCK:
        return Stock(sizes)
    data = load(name)
    if not data.hellaswag:
        return Instructions(data, sizes["heldout_items"], seed)
    return Local(data, sizes, seed)
