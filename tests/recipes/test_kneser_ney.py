"""The n-gram estimate against its equation, and its distributions."""

from collections import Counter

import pytest

from recipes.kneser_ney import BEGIN, END, UNKNOWN, KneserNey, discount, main

LINES = [line.split() for line in ("a b a c", "b a c a b", "a", "c c b a", "b d", "a b d")]
WORDS = ["a", "b", "c", "d", END, UNKNOWN]


def probability(model, word, history):
    """p(word | history) as an ARPA file gives it."""
    if (p := model.p[len(history)].get((*history, word))) is not None:
        return p
    return model.backoff.get(history, 1.0) * probability(model, word, history[1:])


@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize(
    "history", [(BEGIN,), ("a",), (BEGIN, "a"), ("b", "a"), ("a", "a"), (BEGIN, "a", "b")]
)
def test_the_probabilities_sum_to_one(order, history):
    model = KneserNey(LINES, order)
    history = history[-(order - 1) :]
    assert sum(probability(model, word, history) for word in WORDS) == pytest.approx(1, abs=1e-12)


def test_a_bigram_follows_the_equation():
    pairs = Counter(pair for line in LINES for pair in zip([BEGIN, *line], [*line, END], strict=True))
    before = Counter(word for _, word in pairs)  # words that precede it
    d2, d1 = discount(pairs), discount(before)

    def unigram(word):
        lower = d1 * len(before) / sum(before.values()) / len(WORDS)
        return max(before[word] - d1, 0) / sum(before.values()) + lower

    model = KneserNey(LINES, 2)
    for history in (BEGIN, "a", "b"):
        total = sum(c for (h, _), c in pairs.items() if h == history)
        followers = sum(1 for h, _ in pairs if h == history)
        for word in WORDS:
            expected = max(pairs[history, word] - d2, 0) / total + d2 * followers / total * unigram(word)
            assert probability(model, word, (history,)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "a b\n<s> a b </s>\n",
            "the training text has the word <s>, which marks the beginning of a line: remove it",
        ),
        ("a </s>\n", "has the word </s>"),
        (" \n\n", "the training text has no words"),
    ],
)
def test_marks_in_the_text_are_refused(text, sentence, tmp_path, monkeypatch, capsys):
    """They would be counted as words, and <s> would get a probability."""
    (tmp_path / "train.txt").write_text(text)
    monkeypatch.setattr("sys.argv", ["kneser_ney", str(tmp_path / "train.txt"), str(tmp_path / "out.arpa")])
    with pytest.raises(SystemExit):
        main()
    assert sentence in capsys.readouterr().err and not (tmp_path / "out.arpa").exists()


def test_the_file_counts_its_lines():
    text = "\n".join(KneserNey(LINES, 3).arpa())
    for size, section in enumerate(text.split("-grams:\n")[1:], start=1):
        count = int(text.split(f"ngram {size}=")[1].split()[0])
        assert len(section.split("\n\n")[0].splitlines()) == count
    assert text.endswith("\\end\\") and f"-99\t{BEGIN}\t" in text


def test_empty_lines_are_lines(tmp_path, monkeypatch):
    """Each is a token, </s> after <s>, of the text that the model scores. The last line break ends a line."""
    (tmp_path / "train.txt").write_text("a b\n\n \na a\n")
    monkeypatch.setattr("sys.argv", ["kneser_ney", str(tmp_path / "train.txt"), str(tmp_path / "out.arpa")])
    main()
    monkeypatch.undo()
    expected = KneserNey([["a", "b"], [], [], ["a", "a"]], 5)
    assert (tmp_path / "out.arpa").read_text() == "\n".join(expected.arpa()) + "\n"
