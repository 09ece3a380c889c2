"""The best window, theta and lambda of a continuous cache, found in one pass."""

import itertools
import logging
from pathlib import Path

import torch

from lm_plugins.evaluation.continuous_cache import mixed
from lm_plugins.evaluation.write_json import write_json

logger = logging.getLogger(__name__)

WINDOWS = (100, 500, 1000, 2000, 4000)
THETAS = (0.0, 0.2, 0.45, 0.66, 0.8, 1.0, 1.3, 1.7, 2.2, 2.8, 3.6)
LAMBDAS = (0.02, 0.05, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5)


class CacheTuning:
    """Sums of -ln p over the scored targets, for every triple.

    The states are computed once, the products of states once for all thetas, and the mixture with each
    lambda costs a number for each target.
    """

    def __init__(self, windows, thetas=THETAS, lambdas=LAMBDAS):
        self.windows, self.thetas, self.lambdas = windows, thetas, lambdas
        self.nats = torch.zeros(len(windows), len(thetas), len(lambdas), dtype=torch.float64)
        self.without, self.targets = 0.0, 0

    def add(self, log_prob, log_cache, scored):
        """log_prob [T, B]; log_cache [m, n, T, B]; scored [T, B], True where a target counts."""
        log_prob, log_cache = log_prob[scored], log_cache[:, :, scored]
        for number, weight in enumerate(self.lambdas):
            self.nats[:, :, number] -= mixed(log_prob, log_cache, weight).sum(-1, dtype=torch.float64).cpu()
        self.without -= float(log_prob.sum(dtype=torch.float64))
        self.targets += len(log_prob)

    def perplexities(self):
        return (self.nats / self.targets).exp()

    def best(self):
        """{"window", "theta", "lambda", "perplexity"}"""
        found = self.perplexities()
        m, n, k = torch.unravel_index(found.argmin(), found.shape)
        return {
            "window": self.windows[m] or 0,
            "theta": self.thetas[n],
            "lambda": self.lambdas[k],
            "perplexity": float(found[m, n, k]),
        }

    def report(self, path, subset):
        """Prints the grid of the best window as a table; writes everything to `path` and draws it beside."""
        best, found = self.best(), self.perplexities()
        number = [window or 0 for window in self.windows].index(best["window"])
        logger.info(f"perplexity of '{subset}' with a cache of the last {best['window'] or 'all'} tokens:")
        logger.info("theta \\ lambda" + "".join(f"{weight:9g}" for weight in self.lambdas))
        for theta, row in zip(self.thetas, found[number].tolist(), strict=True):
            logger.info(f"{theta:14g}" + "".join(f"{value:9.2f}" for value in row))
        for window, table in zip(self.windows, found, strict=True):
            logger.info(f"best with a window of {window or 'all'}: {float(table.min()):.2f}")
        without = float(torch.tensor(self.without / self.targets, dtype=torch.float64).exp())
        logger.info(
            f"best: --cache-window {best['window']} --cache-theta {best['theta']} "
            f"--cache-lambda {best['lambda']} gives {best['perplexity']:.2f}, without a cache {without:.2f}"
        )
        for flag, at, grid in (
            ("theta", best["theta"], self.thetas),
            ("lambda", best["lambda"], self.lambdas),
        ):
            if at in (grid[0], grid[-1]):
                logger.info(
                    f"the best {flag} is at the end of the grid: there may be a better one beyond {at}"
                )
        grid = [
            {"window": window or 0, "theta": theta, "lambda": weight, "perplexity": float(found[m, n, k])}
            for (m, window), (n, theta), (k, weight) in itertools.product(
                enumerate(self.windows), enumerate(self.thetas), enumerate(self.lambdas)
            )
        ]
        write_json(path, {**best, "without": without, "subset": subset, "grid": grid})
        _draw(Path(path).with_suffix(".png"), found[number].tolist(), self, best)
        logger.info(f"wrote {path} and {Path(path).with_suffix('.png')}: use --cache-from {path}")


def _draw(path, table, tuning, best):
    from matplotlib.figure import Figure  # without pyplot, which would look for a screen

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(table, aspect="auto", cmap="viridis_r")
    axes.set_xticks(range(len(tuning.lambdas)), [f"{weight:g}" for weight in tuning.lambdas])
    axes.set_yticks(range(len(tuning.thetas)), [f"{theta:g}" for theta in tuning.thetas])
    at = tuning.lambdas.index(best["lambda"]), tuning.thetas.index(best["theta"])
    axes.plot(*at, marker="*", markersize=14, color="white", markeredgecolor="black")
    axes.set(
        xlabel="lambda",
        ylabel="theta",
        title=f"cache of the last {best['window'] or 'all'} tokens: best perplexity {best['perplexity']:.2f}",
    )
    figure.colorbar(image, label="perplexity")
    figure.savefig(path, dpi=120)
