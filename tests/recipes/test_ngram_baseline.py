"""The n-gram baselines against counting by hand."""

import math
from collections import Counter

import numpy as np
import pytest

from recipes.ngram_baseline import NgramBaseline

SYMBOLS, EOS, IMPOSSIBLE = 9, 2, (0, 1)


@pytest.fixture
def texts():
    draw = np.random.default_rng(1)

    def text(length):
        words = [4]
        for _ in range(length - 1):
            step = draw.choice([1, 1, 1, 2, 3]) if draw.random() < 0.8 else draw.integers(6)
            words.append((words[-1] - 2 + step) % 6 + 2)
        return np.array(words)

    return text(300), text(80), text(70)


def bigram_by_hand(train, weight, v, w):
    history = [EOS, *train.tolist()]
    pairs, after = Counter(zip(history, train.tolist(), strict=False)), Counter(history[:-1])
    unigram = (Counter(train.tolist())[w] + 1) / (len(train) + SYMBOLS - len(IMPOSSIBLE))
    if not after[v]:
        return unigram
    return weight * pairs[v, w] / after[v] + (1 - weight) * unigram


def test_against_counting_by_hand(texts):
    train, valid, test = texts
    model = NgramBaseline(train, SYMBOLS, EOS, IMPOSSIBLE).fit(valid)
    logs = [
        math.log(bigram_by_hand(train, model.weight, v, w))
        for v, w in zip([EOS, *test.tolist()], test.tolist(), strict=False)
    ]
    expected = math.exp(-sum(logs) / len(test))
    assert model.perplexities(test)["interpolated bigram"] == pytest.approx(expected, rel=1e-12)


def test_sums_to_one_over_what_can_occur_after_every_history(texts):
    model = NgramBaseline(texts[0], SYMBOLS, EOS, IMPOSSIBLE).fit(texts[1])
    words = np.arange(SYMBOLS)
    assert model.p1.sum() == pytest.approx(1)
    assert model.history_counts[8] == 0, "one history is never seen"
    for history in range(2, SYMBOLS):
        p = model.bigram(np.full(SYMBOLS, history), words)
        assert p.sum() == pytest.approx(1)
        assert (p[2:] > 0).all() and (p[:2] == 0).all()


def test_em_finds_the_weight_that_is_best_on_the_validation_text(texts):
    train, valid, _ = texts
    model = NgramBaseline(train, SYMBOLS, EOS, IMPOSSIBLE).fit(valid, steps=500)
    best, fitted = model.perplexities(valid)["interpolated bigram"], model.weight
    assert 0 < fitted < 1
    for other in (fitted - 0.02, fitted + 0.02):
        model.weight = other
        assert model.perplexities(valid)["interpolated bigram"] > best
