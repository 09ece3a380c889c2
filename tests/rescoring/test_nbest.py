"""n-best lists and references are read as a whole, or refused in a sentence that names the line."""

import pytest

from lm_plugins.errors import Refused
from lm_plugins.rescoring.nbest import read_nbest, read_references

GOOD = "u1\ta b\t-1.5\t2\nu1\ta c\t-2\t1e1\nu2\t a  d \t0\t0\n"
REFERENCES = "u2\ta\tb\nu1\t\nu3\tx\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "list.tsv"

    def to_file(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path.relative_to(tmp_path)

    return to_file


@pytest.mark.parametrize("content", [GOOD, GOOD.replace("\n", "\r\n"), GOOD.rstrip("\n"), "\ufeff" + GOOD])
def test_lists_and_references(write, content):
    lists = read_nbest(write(content))
    assert [(n.utterance, [h.text for h in n.hypotheses]) for n in lists] == [
        ("u1", ["a b", "a c"]),
        ("u2", ["a  d"]),
    ]
    assert [h.first_pass for h in lists[0].hypotheses] == [0.5, 8.0]
    assert lists[1].hypotheses[0].words == 2
    assert read_references(write(REFERENCES), lists) == ["", "a b"]
    assert read_references(write("\ufeff" + REFERENCES), lists) == ["", "a b"]


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("", "list.tsv is empty: give a file with an utterance, a hypothesis"),
        ("u1\ta b\n", "line 1 of list.tsv has 2 columns: give an utterance, a hypothesis and one or more"),
        (GOOD + "\n", "line 4 of list.tsv has 1 column: give"),
        (GOOD + "u2\ta\t1\n", "line 4 of list.tsv has 3 columns, but the first line has 4"),
        (GOOD + "u1\ta\t1\t1\n", r"line 4 .* u1 again, after others.*\(line 1 of list.tsv\)"),
        (GOOD + "u2\t \t1\t1\n", "line 4 of list.tsv has an empty hypothesis"),
        (GOOD + "\ta\t1\t1\n", "line 4 of list.tsv has no utterance"),
        (GOOD + "u2\ta\t1\thigh\n", "line 4 of list.tsv has the score 'high': give a finite number"),
        (GOOD + "u2\ta\t1\tnan\n", "line 4 of list.tsv has the score 'nan'"),
        (GOOD.encode() + b"u2\t\xff\t1\t1\n", "line 4 of list.tsv is not UTF-8"),
    ],
)
def test_bad_lists(write, content, sentence):
    with pytest.raises(Refused, match=sentence) as error:
        read_nbest(write(content))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content, sentence",
    [
        ("u1\n", "line 1 of list.tsv has 1 column"),
        ("u1\ta\nu1\ta\n", "line 2 of list.tsv has a second reference for u1"),
        ("u1\ta\n", "has no reference for the utterance u2 .line 3 of list.tsv."),
        ("u1\t\nu2\t\n", "has no words"),
    ],
)
def test_bad_references(write, content, sentence):
    lists = read_nbest(write(GOOD))
    with pytest.raises(Refused, match=sentence):
        read_references(write(content), lists)


def test_a_missing_file(tmp_path):
    with pytest.raises(Refused, match="missing.tsv cannot be read .No such file or directory"):
        read_nbest(tmp_path / "missing.tsv")
