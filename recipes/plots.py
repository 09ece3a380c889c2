"""Draw pictures: make a figure, write it, and label its axes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.files import check_output

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 120


def check_picture(path: Path) -> None:
    """Refuse a path that no picture can be written to, before anything is drawn.

    Raises:
        SystemExit: the suffix is not that of a picture, or the file cannot be written.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = FigureCanvasBase.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in kinds:
        sys.exit(f"error: {path} is not the name of a picture: give one that ends in .png, .pdf or .svg")
    check_output(path)


@contextmanager
def picture(path: Path, width: float = 7, height: float = 4.5) -> Iterator["Figure"]:
    """Yield an empty figure of `width` x `height` inches, and write it to `path` after the block."""
    from matplotlib.figure import Figure  # pyplot would look for a screen

    figure = Figure(figsize=(width, height), layout="constrained")
    yield figure
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DPI)


def log_scale(axes: "Axes") -> None:
    """Make the y axis logarithmic after drawing, with plain round numbers: 50, 60, 80."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 4 * low:
        locator = MaxNLocator(10, steps=[1, 2, 5, 10])
    else:
        locator = LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8) if high < 30 * low else (1, 2, 5))
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))


def whole_numbers(axes: "Axes") -> None:
    """Label the x axis, which counts epochs or trials, with whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(9, integer=True, min_n_ticks=1))
