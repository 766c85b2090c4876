"""The style of the paper's figures, which are readable without colour and byte-reproducible."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure

WIDTH = 6.3  # inches: the width of the paper's text
DARK, MIDDLE, LIGHT = "0.1", "0.5", "0.8"
BLUE, ORANGE = "#1f5a96", "#d9822b"  # two colours that also differ in lightness
_STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "pdf.fonttype": 42,
}
NAMES = {
    "lora_rank": "rank",
    "lora_alpha": "alpha",
    "lora_dropout": "dropout",
    "learning_rate": "log10 learning rate",
    "weight_decay": "log10 weight decay",
    "hellaswag": "HellaSwag",
    "mmlu": "MMLU",
    "ratio": "alpha / rank",
}


def figure(height: float) -> Figure:
    """Return an empty figure of the paper's width; call this inside `style`."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def style() -> AbstractContextManager[None]:
    """Return the context in which figures must be created and saved."""
    settings: dict[Any, Any] = {
        **matplotlib.rcParamsDefault,
        **_STYLE,
    }  # ignore the user's own settings
    return matplotlib.rc_context(settings)


def save(made: Figure, path: Path) -> None:
    """Write a PDF file without a date, or a PNG file as a preview."""
    if path.suffix == ".png":
        FigureCanvasAgg(made)
        made.savefig(path, dpi=150)
        return
    FigureCanvasPdf(made)
    made.savefig(path, metadata={"CreationDate": None, "Creator": None, "Producer": None})


def letter(axes: Axes, text: str) -> None:
    """Put a panel's letter and title above it, at the left."""
    axes.set_title(text, loc="left")
