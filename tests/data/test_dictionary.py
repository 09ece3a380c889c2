"""The digest of a dictionary."""

import torch
from fairseq.data import Dictionary

from lm_plugins.data.dictionary import digest


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
