"""Report the grid of a cache's tuning: a table in the log, a JSON file and a plot."""

import itertools
import logging
from pathlib import Path

from lm_plugins.evaluation.cache_tuning import BestCache, CacheGrid
from lm_plugins.files import write_json
from lm_plugins.grid_picture import Axis, draw_grid, picture_file

logger = logging.getLogger(__name__)


def report(grid: CacheGrid, path: str, subset: str) -> dict[str, float]:
    """Log the grid as a table, write it to `path` as JSON, and plot it next to that file as PNG.

    Returns:
        the best cache, by the names of the JSON file
    """
    best, perplexities = grid.best(), grid.perplexities()
    table = perplexities[[window or 0 for window in grid.windows].index(best.window)].tolist()  # [n, k]
    logger.info(f"perplexity of '{subset}' with a cache of {_extent(best.window)} tokens:")
    logger.info("theta \\ lambda" + "".join(f"{weight:9g}" for weight in grid.weights))
    for theta, row in zip(grid.thetas, table, strict=True):
        logger.info(f"{theta:14g}" + "".join(f"{value:9.2f}" for value in row))
    for window, of_window in zip(grid.windows, perplexities, strict=True):
        logger.info(f"best perplexity with a cache of {_extent(window)} tokens: {float(of_window.min()):.2f}")
    logger.info(
        f"best: --cache-window {best.window} --cache-theta {best.theta} --cache-lambda {best.weight} gives "
        f"perplexity {best.perplexity:.2f} (without a cache: {grid.perplexity_without_cache:.2f})"
    )
    for flag, value, values in (
        ("theta", best.theta, grid.thetas),
        ("lambda", best.weight, grid.weights),
    ):
        if value in (values[0], values[-1]):
            logger.info(f"the best {flag} is at the edge of the grid: values beyond {value} may be better")
    write_json(path, _content(grid, best, subset))
    plot = picture_file(path)
    _plot(plot, table, grid, best)
    logger.info(f"wrote {path} and {plot}: evaluate with --cache-from {path}")
    return _named(best.window, best.theta, best.weight, best.perplexity)


def _extent(window: int | None) -> str:
    return f"the last {window}" if window else "all preceding"


def _content(grid: CacheGrid, best: BestCache, subset: str) -> dict:
    """Return what the JSON file holds; --cache-from reads "window", "theta" and "lambda"."""
    triples = itertools.product(grid.windows, grid.thetas, grid.weights)
    values = grid.perplexities().flatten().tolist()
    return {
        **_named(best.window, best.theta, best.weight, best.perplexity),
        "without": grid.perplexity_without_cache,
        "subset": subset,
        "grid": [_named(*triple, value) for triple, value in zip(triples, values, strict=True)],
    }


def _named(window: int | None, theta: float, weight: float, perplexity: float) -> dict[str, float]:
    return {"window": window or 0, "theta": theta, "lambda": weight, "perplexity": perplexity}


def _plot(path: Path, table: list[list[float]], grid: CacheGrid, best: BestCache) -> None:
    """Draw the perplexities of the best window, with a star on the best of all."""
    draw_grid(
        path,
        table,
        Axis("theta", grid.thetas, best.theta),
        Axis("lambda", grid.weights, best.weight),
        title=f"cache of {_extent(best.window)} tokens: best perplexity {best.perplexity:.2f}",
        unit="perplexity",
        size=(7, 5),
    )
