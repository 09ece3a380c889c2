"""Independent sentences are packed into streams whole, in a new order each epoch."""

import numpy as np
import pytest

from lm_plugins.data.streams import contiguous, sentences
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.errors import Refused

EOS = 2


def corpus(count=40, seed=0):
    draw = np.random.default_rng(seed)
    sizes = draw.integers(1, 12, count)
    tokens = np.concatenate([[*range(10 * n + 10, 10 * n + 9 + size), EOS] for n, size in enumerate(sizes)])
    return TokenStream("train", tokens, sizes)


def lines(streams):
    """The sentences of each stream."""
    layouts = []
    for first, end in zip(streams.first, streams.end, strict=True):
        tokens = streams.tokens[np.arange(first, end)]
        assert tokens[-1] == EOS, "a stream ends in the middle of a sentence"
        layouts.append([tuple(part) for part in np.split(tokens, np.flatnonzero(tokens == EOS) + 1)[:-1]])
    return layouts


@pytest.mark.parametrize("count", [1, 2, 7])
@pytest.mark.parametrize("seed", [None, 5])
def test_every_sentence_is_in_one_stream_whole(count, seed):
    whole = corpus()
    (expected,) = lines(contiguous(whole, 1)(1))
    streams = sentences(whole, count, seed)(3)
    packed = [sentence for stream in lines(streams) for sentence in stream]
    assert sorted(packed) == sorted(expected) and len(packed) == 40
    assert (packed == expected) == (seed is None)
    sizes = streams.end - streams.first
    assert sizes.max() - sizes.min() <= 2 * 12, "streams are balanced to about a sentence"
    assert streams.length == sizes.max()


def test_the_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return lines(sentences(corpus(), 2, seed)(epoch))

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2) and order(1, 1) != order(2, 1)


def test_too_few_sentences_are_refused():
    with pytest.raises(Refused, match="3 sentences, too few to start each of 4 streams"):
        sentences(corpus(3), 4)(1)


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_a_short_set_with_one_long_sentence_is_accepted(place, count):
    sizes = np.full(5, 2)
    sizes[place] = 100
    tokens = np.full(sizes.sum(), 7)
    tokens[sizes.cumsum() - 1] = EOS
    streams = sentences(TokenStream("valid", tokens, sizes), count)(1)
    assert len(streams.first) == count and (streams.first[1:] == streams.end[:-1]).all()
    assert (streams.first[0], streams.end[-1]) == (0, 108)
    packed = lines(streams)
    assert all(packed) and sorted(len(line) for stream in packed for line in stream) == [2, 2, 2, 2, 100]
    if (place, count) == (4, 2):
        assert streams.end.tolist() == [8, 108]
