"""The losses of a learning-rate range test, and what they suggest."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recipes.logs import logged
from recipes.plots import picture
from recipes.text_table import aligned

SMOOTHING = 0.9  # weight of the earlier losses in the smoothed loss
RISE = 2.0  # the loss diverges when it is above this multiple of its minimum
FEWEST = 10  # updates that a suggestion needs


class Point(NamedTuple):
    """The loss of one update."""

    update: int
    lr: float
    loss: float  # bits per token
    smoothed: float


class RangeTest:
    """The losses of a range test.

    The smoothed loss is the exponentially weighted mean, divided by the sum of its weights:

        m_k = s m_{k-1} + (1 - s) loss_k,  m_0 = 0;  smoothed_k = m_k / (1 - s^k)
    """

    def __init__(self, lr_min: float) -> None:
        self.points: list[Point] = []
        self.lr, self.mean = lr_min, 0.0
        self.diverged = False

    def add(self, loss: float, next_lr: float) -> None:
        """Add the loss of an update, after which the learning rate is set to `next_lr`."""
        if not math.isfinite(loss):
            self.diverged = True
            return
        update = len(self.points) + 1
        self.mean = SMOOTHING * self.mean + (1 - SMOOTHING) * loss
        smoothed = self.mean / (1 - SMOOTHING**update)
        self.points.append(Point(update, self.lr, loss, smoothed))
        self.diverged = smoothed > RISE * min(point.smoothed for point in self.points)
        self.lr = next_lr

    def watch(self, lines: Iterable[str]) -> Iterator[str]:
        """Yield the lines of fairseq-train's output, up to the update whose loss diverges."""
        for line in lines:
            yield line
            for entry in logged(line, "train_inner"):
                self.add(float(entry["loss"]), float(entry["lr"]))
                if self.diverged:
                    return


def suggest(points: list[Point]) -> dict[str, float]:
    """Return the learning rate of the steepest descent, and a tenth of the learning rate of the minimum.

    Both refer to the smoothed loss as a function of the logarithm of the learning rate.

    Raises:
        SystemExit: the loss never fell
    """
    best = min(points, key=lambda point: point.smoothed)
    descent = points[: best.update]
    if len(descent) < FEWEST:
        raise SystemExit(
            f"error: the training loss was lowest after {len(descent)} updates, at a learning rate of "
            f"{best.lr:.3g}, so it rises from the start: give a lower --lr-min"
        )
    slopes = np.gradient([point.smoothed for point in descent], np.log([point.lr for point in descent]))
    return {"steepest": descent[int(slopes.argmin())].lr, "minimum / 10": best.lr / 10}


def table(points: list[Point]) -> str:
    """Return a line of text for each point."""
    rows = [[str(p.update), f"{p.lr:.4g}", f"{p.loss:.4f}", f"{p.smoothed:.4f}"] for p in points]
    return aligned([["update", "learning rate", "loss", "smoothed"], *rows])


def draw(points: list[Point], suggestion: dict[str, float], path: Path, title: str) -> None:
    """Draw the losses and the suggested learning rates."""
    rates, smoothed = [point.lr for point in points], [point.smoothed for point in points]
    with picture(path) as figure:
        axes = figure.subplots()
        axes.plot(rates, [point.loss for point in points], color="C0", alpha=0.3, label="loss of the update")
        axes.plot(rates, smoothed, color="C0", label="smoothed")
        for number, (name, rate) in enumerate(suggestion.items(), start=1):
            axes.axvline(rate, color=f"C{number}", linestyle="--", label=f"{name}: {rate:.2g}")
        low, first = min(point.loss for point in points), smoothed[0]
        margin = 0.1 * max(first - low, 0.1)
        axes.set(xscale="log", xlabel="learning rate", ylabel="training loss, bits per token", title=title)
        axes.set_ylim(low - margin, max(first, *smoothed[: len(smoothed) // 2]) + 3 * margin)
        axes.grid(alpha=0.3)
        axes.legend()
