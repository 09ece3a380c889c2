"""Draw a grid of values, such as the perplexities of a search, with a star on the best."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Axis(NamedTuple):
    """The values of a hyper-parameter that were searched, and the best one."""

    label: str
    values: Sequence[float]
    best: float


def picture_file(results: str | os.PathLike) -> Path:
    """Return where the picture of a search is written, next to the JSON file of its results."""
    return Path(results).with_suffix(".png")


def draw_grid(
    path: Path,
    grid: Any,
    rows: Axis,
    columns: Axis,
    *,
    title: str,
    unit: str,
    size: tuple[float, float],
    rotation: float = 0,
) -> None:
    """Draw a heat map as PNG; low values, which are better, are bright.

    Args:
        path: the file to write
        grid: a value for each row and column, [R, C], as matplotlib takes it
        unit: what the values are
        size: of the picture, in inches
        rotation: of the labels of the columns, in degrees
    """
    from matplotlib.figure import Figure  # pyplot would look for a screen

    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid, aspect="auto", cmap="viridis_r")
    axes.set_xticks(range(len(columns.values)), [f"{value:g}" for value in columns.values], rotation=rotation)
    axes.set_yticks(range(len(rows.values)), [f"{value:g}" for value in rows.values])
    x, y = columns.values.index(columns.best), rows.values.index(rows.best)
    axes.plot(x, y, marker="*", markersize=14, color="white", markeredgecolor="black")
    axes.set(xlabel=columns.label, ylabel=rows.label, title=title)
    figure.colorbar(image, label=unit)
    figure.savefig(path, dpi=120, format="png")
