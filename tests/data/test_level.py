"""What a token of a data folder is follows from what the folder records, never from how symbols look."""

import json
import logging

import pytest

from lm_plugins.data.level import level_of
from lm_plugins.data.text_codec import Bytes, Characters, Letters, Words, text_codec
from lm_plugins.data.text_json import LEVELS, write_text_json
from lm_plugins.data.text_sizes import text_sizes
from lm_plugins.errors import Refused

SIZES = {"characters": 30, "words": 6, "tokens": 9, "unknown": 0}
CODECS = (Words, Characters, None, Bytes, Letters)


@pytest.mark.parametrize(
    "mark, level",
    [
        ({"inputs": {"corpus": "ptb_char"}}, "underscore"),
        ({"inputs": {"corpus": "text8"}}, "underscore"),
        ({"inputs": {"corpus": "enwik8"}}, "byte"),
        ({"inputs": {"corpus": "wt2"}}, "word"),
        ({"corpus": "penn_char", "source": "here"}, "underscore"),  # of an earlier version
    ],
)
def test_a_corpus_is_known_by_the_name_in_complete(mark, level, tmp_path, caplog):
    (tmp_path / ".complete").write_text(json.dumps(mark))
    with caplog.at_level(logging.INFO):
        assert level_of(tmp_path) == level
    assert not caplog.text


@pytest.mark.parametrize("mark", [None, "", "[]", "{}", '{"inputs": {"corpus": "text"}}', '{"inputs": 3}'])
def test_otherwise_tokens_are_words_unless_the_user_says_what_they_are(mark, tmp_path, caplog):
    (tmp_path / "dict.txt").write_text("7 1\n_ 1\na 1\n")
    if mark is not None:
        (tmp_path / ".complete").write_text(mark)
    with caplog.at_level(logging.INFO):
        assert level_of(tmp_path) == "word"
    assert f"{tmp_path} does not record what a token is, so each token is assumed to be a word" in caplog.text
    assert "--text-level" in caplog.text and f"{tmp_path}/text.json" in caplog.text
    assert level_of(tmp_path, "byte") == "byte"


def test_a_mark_that_cannot_be_read_is_not_a_missing_one(tmp_path):
    (tmp_path / ".complete").mkdir()
    with pytest.raises(Refused, match="complete cannot be read .Is a directory., so it is not known"):
        level_of(tmp_path)


def test_text_json_comes_first_and_cannot_be_contradicted(tmp_path):
    (tmp_path / ".complete").write_text(json.dumps({"inputs": {"corpus": "ptb"}}))
    (tmp_path / "sentencepiece.model").touch()
    assert level_of(tmp_path) == "sentencepiece", "the model is there to read the pieces"
    for level in LEVELS:
        write_text_json(tmp_path, level, {})
        assert level_of(tmp_path) == level_of(tmp_path, level) == level
    with pytest.raises(Refused, match="records the level 'underscore', not 'word': leave out --text-level"):
        level_of(tmp_path, "word")


@pytest.mark.parametrize("level, codec", list(zip(LEVELS, CODECS, strict=True)))
def test_each_level_has_its_codec_and_number_of_characters(level, codec, tmp_path):
    tokens_are_characters = level in ("character", "byte", "underscore")
    assert text_sizes(tmp_path, "test", level, 9) == (9 if tokens_are_characters else None, None)
    write_text_json(tmp_path, level, {"test": SIZES})
    assert text_sizes(tmp_path, "test", level, 9) == (30, 6)
    if codec is None:
        with pytest.raises(Refused, match="sentencepiece.model is missing"):
            text_codec(level, tmp_path)
    else:
        assert type(text_codec(level, tmp_path)) is codec


def test_an_underscore_is_a_space_at_its_own_level_only():
    assert Letters().decode(Letters().encode("a\tb c")) == "a b c"
    assert Characters().decode(Characters().encode(" a\t▁\u00a0_")) == " a\t▁\u00a0_"
    assert Words().decode("a _ b") == "a _ b"
    assert Bytes().encode("7é") == "55 195 169"


@pytest.mark.parametrize(
    "content, sentence",
    [
        ('{"level": "word"', "cannot be read"),
        ("[]", "it holds no JSON object"),
        ({"level": "words"}, "the level is 'words', not one of word, character, sentencepiece, byte"),
        (
            {"level": "word", "test": {"tokens": 9}},
            "test does not have the sizes characters, words, tokens, unknown",
        ),
        ({"level": "word", "test": SIZES | {"characters": -9000}}, "characters of test is -9000"),
        ({"level": "word", "test": SIZES | {"words": float("nan")}}, "words of test is nan"),
        ({"level": "word", "test": SIZES | {"tokens": "9"}}, "tokens of test is '9'"),
        ({"level": "word", "test": SIZES | {"unknown": 10}}, "test has 10 unknown tokens among 9"),
    ],
)
def test_text_json_is_checked_before_it_is_believed(content, sentence, tmp_path):
    (tmp_path / "text.json").write_text(content if isinstance(content, str) else json.dumps(content))
    for read in (lambda: text_sizes(tmp_path, "test", "word", 9), lambda: level_of(tmp_path)):
        with pytest.raises(Refused, match=rf"text.json:? {sentence}"):
            read()
