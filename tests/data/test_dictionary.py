"""A dictionary's digest and the unit of its corpus."""

import pytest
import torch
from fairseq.data import Dictionary

from lm_plugins.data.dictionary import digest, is_character_level


def dictionary(*symbols):
    made = Dictionary()
    for symbol in symbols:
        made.add_symbol(symbol)
    return made


def test_digests_differ_with_symbols_and_order():
    assert torch.equal(digest(dictionary("a", "b")), digest(dictionary("a", "b")))
    assert not torch.equal(digest(dictionary("a", "b")), digest(dictionary("b", "a")))
    assert not torch.equal(digest(dictionary("a", "b")), digest(dictionary("ab")))
    assert digest(dictionary("a")).shape == (8,)


@pytest.mark.parametrize(
    "symbols, expected",
    [
        (["a", "b", "_"], True),
        (["32", "101", "255", "madeupword0000"], True),
        (["32", "101", "256"], False),
        (["a", "the"], False),
        ([], False),
    ],
)
def test_character_and_byte_corpora_are_recognised(symbols, expected):
    assert is_character_level(dictionary(*symbols)) is expected
