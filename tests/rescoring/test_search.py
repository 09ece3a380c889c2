"""The word error rates of a search, against choosing hypotheses one by one."""

import random

import numpy as np
import pytest

from lm_plugins.rescoring.nbest import Hypothesis, NBest
from lm_plugins.rescoring.picture import draw
from lm_plugins.rescoring.search import Grid, search
from lm_plugins.rescoring.totals import list_scores
from lm_plugins.rescoring.word_errors import word_errors

jiwer = pytest.importorskip("jiwer")
ALPHAS, BETAS = (0, 0.3, 1.0), (-2, 0.0, 1.5, 4)


@pytest.fixture(scope="module")
def lists():
    draw_number = random.Random(1)

    def text(least):
        return " ".join(draw_number.choice("abc") for _ in range(draw_number.randrange(least, 7)))

    lists = [
        NBest(
            f"u{u}", [Hypothesis(f"u{u}", text(1), [draw_number.gauss(0, 3)], "") for _ in range(1 + u % 5)]
        )
        for u in range(30)
    ]
    references = ["", *(text(1) for _ in lists[1:])]
    log_probs = [[draw_number.gauss(-8, 3) for _ in nbest.hypotheses] for nbest in lists]
    return lists, references, log_probs


def test_the_errors_are_those_of_jiwer(lists):
    lists, references, _ = lists
    errors = word_errors(lists, references)
    for nbest, reference, counts in zip(lists, references, errors.errors, strict=True):
        for hypothesis, count in zip(nbest.hypotheses, counts, strict=False):
            output = jiwer.process_words(reference, hypothesis.text)
            assert count == output.substitutions + output.deletions + output.insertions


def test_words_are_separated_by_white_space_of_any_kind():
    """They are separated as for the language model and for beta, also by U+3000 and U+00A0."""
    lists = [NBest("u", [Hypothesis("u", text, [0.0], "") for text in ("a b c", "a\u00a0b\u3000 d")])]
    errors = word_errors(lists, ["a\u3000b c "])
    assert (errors.errors.tolist(), errors.words) == ([[0, 1]], 3)


def test_the_rates_are_those_of_the_hypotheses_with_the_highest_totals(lists):
    lists, references, log_probs = lists
    scored = list_scores(lists, log_probs)
    errors = word_errors(lists, references)
    grid = search(scored, errors, ALPHAS, BETAS)
    for alpha, row in zip(ALPHAS, grid.rates, strict=True):
        for beta, rate in zip(BETAS, row, strict=True):
            chosen = []
            for nbest, of_list in zip(lists, log_probs, strict=True):
                rows = zip(nbest.hypotheses, of_list, strict=True)
                chosen.append(
                    max(rows, key=lambda r: r[0].scores[0] + alpha * r[1] + beta * r[0].words)[0].text
                )
            assert rate == pytest.approx(100 * jiwer.wer(references, chosen))
    assert grid.best()[2] == grid.rates.min() and errors.oracle <= grid.rates.min()


def test_the_middle_of_a_plateau_is_chosen(tmp_path):
    rates = np.array([[3, 3, 3, 3, 1], [3, 1, 1, 1, 3], [3, 1, 1, 1, 3], [3, 1, 1, 1, 3], [3.0, 3, 3, 3, 3]])
    grid = Grid(range(5), range(10, 15), rates)
    assert grid.best() == (2, 12, 1.0)
    draw(grid, tmp_path / "grid.png")
    assert (tmp_path / "grid.png").read_bytes().startswith(b"\x89PNG")
