"""The Python language reference as a corpus."""

import pytest

from preprocess import topics

TEXT = """\
The "if" statement
******************

It is used for *conditional* execution:

   | a__b  | x1 |
   +-------+----+

{}
"""


def test_words_and_punctuation_apart_without_rules_and_borders():
    lines = list(topics.paragraphs(TEXT.format("The <unk> end."), seen=set()))
    assert lines == [
        ["the", '"', "if", '"', "statement"],
        ["it", "is", "used", "for", "*", "conditional", "*", "execution", ":"],
        ["a__b", "|", "x1"],
        ["the", "<", "unk", ">", "end", "."],
    ]


def test_a_paragraph_that_two_topics_share_is_kept_once_and_cuts_follow_the_text():
    numbered = "\n\n".join(f"paragraph {number}" for number in range(10))
    parts = topics.split({"b": numbered + "\n\nonly here", "a": numbered})
    assert [line[-1] for line in parts["train"]] == [str(number) for number in range(8)]
    assert [line[-1] for line in parts["valid"]] == ["8"]
    assert [line[-1] for line in parts["test"]] == ["9", "here"]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("topics")
    return folder, topics.write(folder)


def test_the_corpus_that_this_python_carries(written):
    folder, tokens = written
    texts = {name: (folder / f"{name}.txt").read_text(encoding="utf-8") for name in topics.SPLITS}
    assert 40_000 < tokens["train"] < 150_000
    for name, text in texts.items():
        assert tokens[name] == len(text.split()) + text.count("\n")
        assert 0.05 < tokens[name] / sum(tokens.values()) or name == "train"
    lines = [line for text in texts.values() for line in text.splitlines()]
    assert len(lines) == len(set(lines)), "a paragraph is in two places"
    assert not {"<pad>", "<s>", "</s>", "<unk>"} & {token for line in lines for token in line.split()}


def test_writing_again_changes_nothing(written):
    folder, tokens = written
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert topics.write(folder) == tokens
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
