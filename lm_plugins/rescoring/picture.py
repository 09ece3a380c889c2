"""Draw the search for alpha and beta."""

from pathlib import Path

from lm_plugins.grid_picture import Axis, draw_grid
from lm_plugins.rescoring.search import Grid


def draw(grid: Grid, path: Path) -> None:
    """Draw the word error rates as PNG, with a star on the best."""
    alpha, beta, rate = grid.best()
    draw_grid(
        path,
        grid.rates,
        Axis("alpha (weight of ln p)", grid.alphas, alpha),
        Axis("beta (for each word)", grid.betas, beta),
        title=f"lowest word error rate {rate:.2f} % with --alpha {alpha:g} --beta {beta:g}",
        unit="word error rate (%)",
        size=(8, 6),
        rotation=90,
    )
