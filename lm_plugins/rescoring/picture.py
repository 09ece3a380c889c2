"""Draw the search for alpha and beta."""

from pathlib import Path

from lm_plugins.rescoring.search import Grid


def draw(grid: Grid, path: Path) -> None:
    """Draw the word error rates as PNG, with a star on the best."""
    from matplotlib.figure import Figure  # pyplot would look for a screen

    alpha, beta, rate = grid.best()
    figure = Figure(figsize=(8, 6), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(grid.rates, aspect="auto", cmap="viridis_r")
    axes.set_xticks(range(len(grid.betas)), [f"{beta:g}" for beta in grid.betas], rotation=90)
    axes.set_yticks(range(len(grid.alphas)), [f"{alpha:g}" for alpha in grid.alphas])
    x, y = list(grid.betas).index(beta), list(grid.alphas).index(alpha)
    axes.plot(x, y, marker="*", markersize=14, color="white", markeredgecolor="black")
    axes.set(
        xlabel="beta (for each word)",
        ylabel="alpha (weight of ln p)",
        title=f"lowest word error rate {rate:.2f} % with --alpha {alpha:g} --beta {beta:g}",
    )
    figure.colorbar(image, label="word error rate (%)")
    figure.savefig(path, dpi=120, format="png")
