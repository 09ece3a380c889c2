"""The results of rescoring: for people, and as JSON."""

from typing import Any, NamedTuple

from numpy import ndarray

from lm_plugins.rescoring.nbest import NBest
from lm_plugins.rescoring.search import Grid
from lm_plugins.rescoring.totals import ListScores
from lm_plugins.rescoring.word_errors import WordErrors


class WordErrorRates(NamedTuple):
    """Word error rates in percent: of the first pass, of the totals, and of the best listed hypotheses."""

    first_pass: float
    rescored: float
    oracle: float


class Rescored(NamedTuple):
    """Rescored lists.

    Args:
        alpha: the weight of ln p
        beta: the value added for each word
        errors: the word errors of the hypotheses; None: there are no references
        grid: the search for alpha and beta; None: there was none
    """

    lists: list[NBest]
    scores: ListScores
    alpha: float
    beta: float
    errors: WordErrors | None
    grid: Grid | None

    @property
    def best(self) -> ndarray:
        """Return the index of the best hypothesis of each list, [U]."""
        return self.scores.best(self.alpha, self.beta)

    @property
    def rates(self) -> WordErrorRates | None:
        """Return the word error rates; None if there are no references."""
        if self.errors is None:
            return None
        first_pass = self.errors.rate(self.scores.best(0, 0))
        return WordErrorRates(first_pass, self.errors.rate(self.best), self.errors.oracle)


def report(rescored: Rescored) -> list[str]:
    """Return the results as lines of text for people."""
    lines = [] if rescored.grid is None else grid_table(rescored.grid)
    if rescored.rates is not None:
        lines.append(
            f"word error rate, {len(rescored.lists):,} utterances: {rescored.rates.first_pass:.2f} % before, "
            f"{rescored.rates.rescored:.2f} % after, {rescored.rates.oracle:.2f} % oracle"
        )
    return lines


def grid_table(grid: Grid) -> list[str]:
    """Return the lowest word error rate of each alpha, and the flags to paste."""
    lines = [f"{'alpha':>8}{'beta':>8}{'word error rate (%)':>22}"]
    for alpha, row in zip(grid.alphas, grid.rates, strict=True):
        lines.append(f"{alpha:8g}{grid.betas[row.argmin()]:8g}{row.min():22.2f}")
    alpha, beta, _ = grid.best()
    for name, value, values in (("alpha", alpha, grid.alphas), ("beta", beta, grid.betas)):
        if len(values) > 1 and value in (values[0], values[-1]):
            lines.append(f"the best {name} is at the edge of the grid: values beyond {value:g} may be better")
    return [*lines, f"best: --alpha {alpha:g} --beta {beta:g}"]


def results_json(rescored: Rescored) -> dict[str, Any]:
    """Return the content of a JSON file of the results."""
    content: dict[str, Any] = {
        "alpha": rescored.alpha,
        "beta": rescored.beta,
        "utterances": len(rescored.lists),
        "hypotheses": sum(len(nbest.hypotheses) for nbest in rescored.lists),
    }
    if rescored.rates is not None:
        content["word_error_rate"] = rescored.rates._asdict()
    return content


def grid_json(grid: Grid) -> list[dict[str, float]]:
    """Return the word error rate in percent of each point of a grid."""
    return [
        {"alpha": alpha, "beta": beta, "word_error_rate": rate}
        for alpha, row in zip(grid.alphas, grid.rates.tolist(), strict=True)
        for beta, rate in zip(grid.betas, row, strict=True)
    ]
