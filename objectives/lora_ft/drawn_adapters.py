"""Score the base model with adapters that do not start at zero: a possible cause of an artefact.

    TUNEOFF_DATA=... python -m objectives.lora_ft.drawn_adapters out=CSV

In the published runs (Davouse and Talbi, OLA 2025), the score of an adapter that learned nothing
depends only on alpha / rank. If B started at 0, as in LoRA, it could not depend on anything. Here
nothing is trained, and B is drawn as `nn.Linear` draws a weight of B's shape (d, r): uniformly
within 1 / sqrt(r). A (r, k) is drawn uniformly within 1 / sqrt(k). An entry of B A then has the
variance r * 1/(3r) * 1/(3k) = 1/(9k) at every rank, so the size of the update (alpha / r) B A
depends only on alpha / rank. This program measures whether the score also depends only on alpha /
rank, and in what form.

Each cell's row is appended as soon as it is computed. A table of all rows is printed at the end;
`ranks=[]` only prints the table. The ratio 0 is the base model. Within a draw, all ratios share A
and B, and all cells share the items.
"""

import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import torch
from litgpt.lora import GPT
from omegaconf import DictConfig
from torch import nn

from objectives import checkpoint
from objectives.lora_ft import scoring
from objectives.lora_ft.data import load, subset
from objectives.lora_ft.encoding import Encoder
from objectives.lora_ft.model import Adapters, BaseModel
from objectives.lora_ft.scoring import Floats
from objectives.lora_ft.team import team

COLUMNS = (
    "rank", "ratio", "draw", "items", "acc", "acc_norm", "p_right", "p_right_change",
    "p_right_change_se", "p_right_whole", "log_likelihood", "log_likelihood_change",
    "log_likelihood_change_se", "size", "cpu_s", "model", "data", "precision",
)  # fmt: skip
Row = dict[str, Any]
Cell = tuple[int, float, int]
"""The rank, alpha / rank, and the number of the draw."""
_CPU = torch.device("cpu")


def draw(model: GPT, seed: int) -> None:
    """Draw A and B of every adapter as `nn.Linear` draws its weight."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if hasattr(module, "lora_A"):
            for matrix in (module.lora_A, module.lora_B):
                drawn = torch.empty(matrix.shape)
                nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
                matrix.data.copy_(drawn)


def rescale(model: GPT, ratio: float) -> None:
    """Set alpha / rank of every adapter."""
    for module in model.modules():
        if hasattr(module, "lora_A"):
            module.scaling = ratio


def size(model: GPT) -> float:
    """Return std((alpha / r) B A) / std(W) in the first block's q, k and v."""
    qkv = model.transformer.h[0].attn.qkv
    update = []
    for a, b in zip(
        qkv.lora_A.float().chunk(3), qkv.lora_B.float().split(qkv.qkv_shapes), strict=True
    ):
        update.append(qkv.scaling * b @ a)
    return float(torch.cat(update).detach().std() / qkv.linear.weight.float().std())


class Scorer:
    """HellaSwag's questions as tokens, and the base model's outcomes on them."""

    def __init__(self, settings: DictConfig) -> None:
        found = checkpoint.find(settings.model)
        data = load(settings.data)
        self.base = BaseModel(found.folder(), _CPU, settings.precision)
        self._matrices = tuple(settings.matrices)
        self._seed = settings.seed
        encoder = Encoder(found.folder(), self.base.max_length, 128, True)
        self._questions = subset(data.hellaswag, settings.hellaswag_items, settings.seed)
        self._tokens = [encoder.question(question) for question in self._questions]
        self._source = {
            "items": len(self._questions),
            "model": found.name,
            "data": data.digest[:8],
            "precision": settings.precision,
        }
        self._untouched: tuple[Floats, Floats] | None = None

    def adapted(self, rank: int) -> GPT:
        """Return the base model with adapters that start at B = 0."""
        return self.base.adapted(Adapters(rank, rank, 0.0, self._matrices, self._seed))

    def row(self, model: GPT, rank: int, ratio: float, draw: int) -> Row:
        """Score a model; changes are relative to the base model on the same items."""
        started = time.process_time()
        judged, p_whole, gold = self._judge(model)
        base_p_right, base_gold = self._base()
        changes = [judged.p_right - base_p_right, gold - base_gold]
        means = [float(change.mean()) for change in changes]
        errors = [float(change.std(ddof=1) / math.sqrt(len(gold))) for change in changes]
        numbers = {
            "acc": float(judged.right.mean()),
            "acc_norm": float(judged.right_norm.mean()),
            "p_right": float(judged.p_right.mean()),
            "p_right_change": means[0],
            "p_right_change_se": errors[0],
            "p_right_whole": float(p_whole.mean()),
            "log_likelihood": float(gold.mean()),
            "log_likelihood_change": means[1],
            "log_likelihood_change_se": errors[1],
            "size": size(model) if ratio else 0.0,
            "cpu_s": time.process_time() - started,
        }
        rounded = {name: round(number, 5) for name, number in numbers.items()}
        return {"rank": rank, "ratio": ratio, "draw": draw, **self._source, **rounded}

    def _base(self) -> tuple[Floats, Floats]:
        if self._untouched is None:
            judged, _, gold = self._judge(self.adapted(1))
            self._untouched = judged.p_right, gold
        return self._untouched

    def _judge(self, model: GPT) -> tuple[scoring.Outcomes, Floats, Floats]:
        """Return the outcomes, and two arrays (items,) for the right ending.

        The first is its probability by the softmax over the sums of log-likelihoods, which `acc`
        uses. The second is its log-likelihood in nats per token.
        """
        with team(1, _CPU) as workers:
            sums = scoring.branch_sums(workers, model, self._tokens)
        judged = scoring.outcomes(self._questions, sums)
        whole = sums.reshape(len(self._questions), -1)  # (items, endings)
        odds = np.exp(whole - whole.max(axis=1, keepdims=True))
        gold = np.array([question.gold for question in self._questions])
        pairs = zip(self._tokens, gold, strict=True)
        lengths = np.array([float(len(tokens.branches[i])) for tokens, i in pairs])
        place = np.arange(len(gold)), gold
        return judged, odds[place] / odds.sum(axis=1), whole[place] / lengths


def cells(settings: DictConfig) -> Iterator[Cell]:
    """Yield rank, ratio and draw, one curve after the other, beginning with the middle rank."""
    ranks = sorted(settings.ranks, key=lambda rank: abs(math.log2(rank / 16)))
    yield 0, 0.0, 0
    for number in range(settings.draws):
        for rank in ranks:
            for ratio in settings.ratios:
                yield rank, ratio, number


def read(path: Path) -> list[Row]:
    """Read the rows, with numbers converted."""
    if not path.exists():
        return []
    texts = ("model", "data", "precision")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v if k in texts else float(v) for k, v in row.items()} for row in rows]


def compute(settings: DictConfig, missing: list[Cell], path: Path) -> None:
    """Append a row for each cell."""
    scorer = Scorer(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if new:
            writer.writeheader()
        for rank, ratio, number in missing:
            model = scorer.adapted(max(rank, 1))
            if ratio:
                draw(model, settings.seed + 1000 * number + rank)
                rescale(model, ratio)
            row = scorer.row(model, rank, ratio, number)
            writer.writerow(row)
            file.flush()
            print(*(f"{name}={row[name]}" for name in COLUMNS[:8]), f"{row['cpu_s']:.0f} s")


def table(rows: list[Row]) -> str:
    """Return means and ranges over ranks and draws, and the variance explained by alpha / rank."""
    names = ("acc", "acc_norm", "p_right_whole", "p_right", "log_likelihood")
    lines = ["| alpha / rank | cells | " + " | ".join(names) + " |", "|---" * 7 + "|"]
    for ratio in sorted({row["ratio"] for row in rows}):
        here = [row for row in rows if row["ratio"] == ratio]
        ranges = []
        for name in names:
            x = [row[name] for row in here]
            ranges.append(f"{np.mean(x):.3f} ({min(x):.3f} to {max(x):.3f})")
        lines.append(f"| {ratio:g} | {len(here)} | " + " | ".join(ranges) + " |")
    lines += ["", "share of the variance between cells that lies between values of alpha / rank:"]
    drawn = [row for row in rows if row["ratio"] > 0]
    for name in names:
        lines.append(f"  {name}: {_explained(drawn, np.array([row[name] for row in drawn])):.3f}")
    losses = np.array([-row["log_likelihood_change"] for row in drawn])
    lines.append(f"  log of log_likelihood's loss: {_explained(drawn, np.log10(losses)):.3f}")
    return "\n".join(lines)


def _explained(rows: list[Row], values: Floats) -> float:
    """Return 1 - (sum of squares about the means of equal ratios) / (about the mean of all)."""
    ratios = np.array([row["ratio"] for row in rows])
    means = np.array([values[ratios == ratio].mean() for ratio in ratios])
    total = float(((values - values.mean()) ** 2).sum())
    return 1 - float(((values - means) ** 2).sum()) / total


@hydra.main(config_path="../../conf", config_name="drawn_adapters", version_base=None)
def main(settings: DictConfig) -> None:
    path = Path(settings.out).expanduser()
    known = {(row["rank"], row["ratio"], row["draw"]) for row in read(path)}
    missing = [cell for cell in cells(settings) if cell not in known]
    if missing:
        compute(settings, missing, path)
    print(table(read(path)))


if __name__ == "__main__":
    main()
