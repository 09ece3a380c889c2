"""n-gram models over our dictionary: the same numbers as KenLM's, and a distribution."""

import math

import pytest
import torch
from fairseq.data import Dictionary

from lm_plugins.errors import Refused
from lm_plugins.evaluation.ngram import Ngram
from recipes.kneser_ney import KneserNey

kenlm = pytest.importorskip("kenlm")
LINES = [line.split() for line in ("a b a c", "b a <unk> c a b", "a", "c c b a", "b <unk>")]


def dictionary(*words):
    symbols = Dictionary()
    for word in words:
        symbols.add_symbol(word)
    return symbols


@pytest.fixture(scope="module")
def arpa(tmp_path_factory):
    path = tmp_path_factory.mktemp("ngram") / "model.arpa"
    path.write_text("\n".join(KneserNey(LINES, order=3).arpa()) + "\n")
    return str(path)


def ids(symbols, *lines):
    return torch.cat([symbols.encode_line(line, add_if_not_exist=False).long() for line in lines])


def test_a_text_has_the_scores_of_its_lines(arpa):
    """KenLM scores each line from <s> to </s>."""
    lines = ("a b a", "c <unk> b b", "", "a")
    log_prob = Ngram(arpa, symbols := dictionary("a", "b", "c")).log_prob(ids(symbols, *lines))
    model = kenlm.Model(arpa)
    expected = sum(model.score(line) for line in lines) * math.log(10)
    assert float(log_prob.sum()) == pytest.approx(expected, rel=1e-6) and log_prob.dtype == torch.float64


@pytest.mark.parametrize("words", [("a", "b", "c"), ("a", "b", "c", "new", "newer")])
@pytest.mark.parametrize("history", ["", "a", "b a", "<unk>", "c new"])
def test_the_probabilities_sum_to_one_over_the_dictionary(arpa, words, history):
    """Words that the n-gram model does not know share the probability of its <unk>."""
    ngram = Ngram(arpa, symbols := dictionary(*words))
    context = ids(symbols, history)[:-1]
    p = ngram.distribution(context.tolist()).exp()
    assert float(p.sum()) == pytest.approx(1, abs=1e-6)
    assert p[symbols.bos()] == p[symbols.pad()] == 0
    assert all(p[symbols.index(word)] == p[symbols.unk()] for word in words[3:])
    for word in range(len(symbols)):  # the two ways agree
        if word not in (symbols.bos(), symbols.pad()):
            text = torch.cat([context, torch.tensor([word])])
            assert ngram.log_prob(text)[-1].exp() == pytest.approx(float(p[word]), rel=1e-6)


def test_the_symbols_that_pad_a_dictionary_have_no_probability(arpa, tmp_path):
    """Otherwise those that fairseq-preprocess adds would take most of the probability of <unk>."""
    symbols = dictionary("a", "b", "c", "madeupword")
    symbols.count[-1] = 0  # a word of the user's
    expected = Ngram(arpa, symbols).distribution([])
    symbols.pad_to_multiple_(16)
    symbols.save(str(tmp_path / "dict.txt"))
    p = Ngram(arpa, Dictionary.load(str(tmp_path / "dict.txt"))).distribution([])
    assert len(p) == 16 and torch.equal(p[: len(expected)], expected) and not p[len(expected) :].exp().any()


def test_a_smaller_dictionary_is_reported(arpa, caplog):
    ngram = Ngram(arpa, dictionary("a", "b"))
    assert float(ngram.distribution([]).exp().sum()) < 1
    assert "of the probability of a first word to words that are not in the dictionary" in caplog.text


def test_a_sum_slightly_above_one_is_reported(arpa, tmp_path, caplog):
    """A quantised model has such a sum."""
    text, path = open(arpa).read(), tmp_path / "quantised.arpa"
    backoff = text.split("\t<s>\t")[1].split("\n")[0]
    path.write_text(text.replace(f"\t<s>\t{backoff}", f"\t<s>\t{float(backoff) + 0.004}"))
    ngram = Ngram(str(path), dictionary("a", "b", "c"))
    assert 1.001 < float(ngram.distribution([]).exp().sum()) < 1.02
    assert "as those of a quantised model do" in caplog.text


@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda text: "hello\n", 'is not an n-gram model .*first non-empty line was "hello"'),
        (lambda text: text[: len(text) // 2], "is not an n-gram model"),
        (lambda text: text.replace("</s>", "</t>"), "is not an n-gram model .*missing </s>"),
        (lambda text: text.replace("\t<s>\t-", "\t<s>\t"), "sum to .* over the dictionary"),
    ],
)
def test_files_that_are_refused(arpa, tmp_path, change, sentence):
    path = tmp_path / "changed.arpa"
    path.write_text(change(open(arpa).read()))
    with pytest.raises(Refused, match=sentence) as error:
        Ngram(str(path), dictionary("a", "b", "c"))
    assert "\n" not in str(error.value)
    with pytest.raises(Refused, match="there is no n-gram model missing"):
        Ngram("missing", dictionary("a"))
