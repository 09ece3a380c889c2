"""Words are put together from the tokens of every level, and have the surprisal of the line."""

import pytest
import sentencepiece
import torch

from lm_plugins.data.text_codec import text_codec
from lm_plugins.scoring.line_scores import LineScore
from lm_plugins.scoring.tables import Table
from lm_plugins.scoring.words import Unit, words

LINES = ("the brown fox", " a  bröwn  fox  ", "fox", "   ", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pieces")
    (folder / "raw.txt").write_text("\n".join(["the quick bröwn fox", "jumps over a lazy dog"] * 8))
    sentencepiece.SentencePieceTrainer.train(
        input=str(folder / "raw.txt"), model_prefix=str(folder / "sentencepiece"), vocab_size=40,
        minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    return folder


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("level", ["word", "character", "sentencepiece", "byte", "underscore"])
def test_words_of_a_line(level, line, folder):
    codec = text_codec(level, folder)
    tokens = [
        Unit(symbol, 0.5 + index, symbol == "ö") for index, symbol in enumerate(codec.encode(line).split())
    ]
    made = words(tokens, level, codec)
    assert [word.text for word in made if word.text] == line.split()
    assert len(made) == len(line.split()) or not line.strip()
    assert sum(word.surprisal for word in made) == pytest.approx(sum(token.surprisal for token in tokens))
    if level == "character":
        assert [word.unknown for word in made] == ["ö" in word.text for word in made]


def test_a_space_counts_with_the_word_after_it():
    codec = text_codec("character", "")
    tokens = [Unit(symbol, bits, False) for symbol, bits in zip("ab▁c▁", (1, 2, 4, 8, 16), strict=True)]
    assert words(tokens, "character", codec) == [("ab", 3, False), ("c", 28, False)]


@pytest.mark.parametrize("level", ["character", "byte"])
def test_a_row_of_a_word_with_a_tab_has_four_columns(level):
    codec = text_codec(level, "")
    symbols = codec.encode("a\tb\u2028c d").split()
    score = LineScore(symbols, [4] * len(symbols), -torch.ones(len(symbols)), eos=False)
    rows = [*Table(level, codec, 3, "words").rows(1, score, None)]
    assert [row.split("\t")[1] for row in rows] == ["a b c", "d"]
    assert [len(row.split("\t")) for row in rows] == [4, 4]
