"""The command lines of the simulator's own programs: `[FILE] [key=value ...]`, in any order."""

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_HELP = ("-h", "--help", "help")


@dataclass(frozen=True)
class Word:
    """One `key=value` argument: its meaning, its default, and a rule that its text must meet.

    Attributes:
        meaning: the description in the help text.
        default: the text that stands for it if it is not given.
        rule: the rule in words, for the error message.
        allows: returns whether a text meets the rule.
    """

    meaning: str
    default: str = ""
    rule: str = "a text"
    allows: Callable[[str], bool] = bool


TABLE = Word("The CSV file to which the table is written.", rule="a path")


def choice(meaning: str, default: str, choices: Sequence[str]) -> Word:
    """Return an argument that is one of several words."""
    return Word(meaning, default, f"one of {', '.join(choices)}", lambda text: text in choices)


@dataclass(frozen=True)
class Program:
    """A program: what it does, examples, and its arguments.

    Attributes:
        module: the module that is run.
        summary: a description in one line.
        examples: pairs of arguments and their explanation.
        file: the meaning of the file that must be given; "" if there is none.
        words: the `key=value` arguments by name.
    """

    module: str
    summary: str
    examples: Sequence[tuple[str, str]]
    file: str = ""
    words: Mapping[str, Word] = field(default_factory=lambda: {"table": TABLE})

    def answer(self, arguments: Sequence[str], body: Callable[[Path, dict[str, str]], None]) -> int:
        """Print the help text, or carry out the program; return the exit status.

        Args:
            arguments: the words of the command line.
            body: receives the file ("." if the program takes none) and the text of each argument.
        """
        if any(word in _HELP for word in arguments):
            print(self.help())
            return 0
        try:
            body(*self.read(arguments))
        except (OSError, ValueError) as error:
            print(" ".join(str(error).split("\n")), file=sys.stderr)
            return 2
        return 0

    def read(self, arguments: Sequence[str]) -> tuple[Path, dict[str, str]]:
        """Return the file and the text of each argument.

        Raises:
            ValueError: an argument is unknown, missing or does not meet its rule.
        """
        texts = {name: word.default for name, word in self.words.items()}
        files: list[Path] = []
        for argument in arguments:
            name, equals, text = argument.partition("=")
            if equals and name in self.words:
                word = self.words[name]
                if not word.allows(text):
                    raise ValueError(f"{name}: expected {word.rule}, got {text!r}")
                texts[name] = text
            elif self.file and not files and not equals and not argument.startswith("-"):
                files.append(Path(argument).expanduser())
            else:
                known = ", ".join([*(["a FILE"] if self.file else []), *self._typed()])
                raise ValueError(f"{argument}: expected one of {known}, got {argument}")
        if self.file and not files:
            raise ValueError(f"FILE: expected {self.file}, got none; see --help")
        return (files or [Path()])[0], texts

    def _typed(self) -> list[str]:
        return [f"{name}=" for name in self.words]

    def help(self) -> str:
        """Return the help text."""
        file = "FILE " if self.file else ""
        start = f"python -m {self.module}"
        lines = [f"{start} {file}[key=value ...]", "", self.summary, "", "Examples:"]
        lines += [f"  {start} {typed}  # {what}" for typed, what in self.examples]
        lines += ["", "Arguments:"]
        rows = [("FILE", f"{self.file[0].upper()}{self.file[1:]}.")] if self.file else []
        rows += [
            (f"{name}=", f"{word.meaning} Default: {word.default or 'none'}.")
            for name, word in self.words.items()
        ]
        rows.append(("--help", "Print this text."))
        return "\n".join([*lines, *(f"  {name:16}{meaning}" for name, meaning in rows)])


def write_table(path: str, rows: Sequence[Sequence[str]]) -> None:
    """Write rows as CSV, if a path is given.

    Raises:
        OSError: the file cannot be written.
    """
    if path:
        with Path(path).expanduser().open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
