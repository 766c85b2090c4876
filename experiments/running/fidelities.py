"""Which objectives offer fidelities, as the comments of their YAML files state.

A YAML file of an objective that offers fidelities with its default settings has a comment line such
as `# Fidelities: 1/9, 1/3, 1`. Reading it takes a millisecond; creating every objective would take
many seconds. A test compares the comments with the objectives.
"""

from fractions import Fraction

from experiments.running.composing import config_dirs, options

_MARK = "# Fidelities: "


def stated(name: str) -> tuple[float, ...] | None:
    """Return the fidelities that the YAML file of an objective states, or None."""
    for folder in config_dirs():
        path = folder / "objective" / f"{name}.yaml"
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines()
            found = [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
            if not found:
                return None
            return tuple(float(Fraction(word.strip())) for word in found[0].split(","))
    return None


def objectives_with_fidelities() -> list[str]:
    """Return the names of the objectives that state fidelities."""
    return [name for name in options("objective") if stated(name) is not None]
