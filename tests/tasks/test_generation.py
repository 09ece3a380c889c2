"""fairseq-generate, fairseq-interactive and lm_plugins.hub continue and score text."""

import math
import pickle
import shutil

import pytest
import torch

from tests.helpers.corpus import binarize
from tests.helpers.refusals import refused
from tests.helpers.runner import PLUGIN, evaluate, perplexity, run_fairseq, train

MODELS = {
    "lstm": ("awd_lstm_ptb", ("--sample-break-mode", "eos")),
    "qrnn": ("qrnn_ptb", ("--output-layer", "adaptive_softmax", "--adaptive-softmax-cutoff", "20")),
    "mos": ("awd_lstm_ptb", ("--output-layer", "mos", "--n-experts", "2")),
}


@pytest.fixture(scope="module", params=MODELS)
def checkpoint(request, data_bin, tmp_path_factory):
    folder, (arch, flags) = tmp_path_factory.mktemp("model"), MODELS[request.param]
    train(data_bin, folder, *flags, "--max-epoch", "1", "--no-epoch-checkpoints", arch=arch)
    return folder / "checkpoint_last.pt"


def load(path, data):
    from lm_plugins.hub import load

    return load(str(path), str(data))


def generate(data, path, *flags, program="generate", **options):
    return run_fairseq(program, data, "--user-dir", PLUGIN, "--cpu", "--path", path, *flags, **options)


def hypotheses(run):
    """[(number, bits of the whole text, tokens)]"""
    found = [line.split("\t") for line in run.output.splitlines() if line.startswith("H-")]
    return [(int(tag[2:]), float(score), text.split()) for tag, score, text in found]


def bits(lm, tokens):
    """Return the bits of the tokens and the </s> after them, by a full forward pass."""
    log_probs = lm.score(" ".join(tokens) + "\n").log_probs
    return float(log_probs.sum()) / math.log(2)


def test_beams_have_the_scores_of_a_full_forward_pass(checkpoint, data_bin):
    flags = ("--beam", "3", "--nbest", "3", "--lenpen", "0", "--prefix-size", "2", "--max-len-b", "8")
    run = generate(data_bin, checkpoint, *flags, "--max-sentences", "7", "--gen-subset", "valid")
    found, lm = hypotheses(run), load(checkpoint, data_bin)
    assert {number for number, _, _ in found} == set(range(80))
    for _, score, tokens in found[::7]:
        assert score == pytest.approx(bits(lm, tokens), abs=2e-3), tokens
    assert len({tuple(tokens) for _, _, tokens in found}) > 100


def test_reference_scores_are_those_of_a_full_forward_pass(checkpoint, data_bin, corpus):
    """By fairseq-generate, with the </s> of each line, and by fairseq's own from_pretrained, without."""
    run = generate(data_bin, checkpoint, "--score-reference", "--gen-subset", "valid", "--max-tokens", "10")
    lm, lines = load(checkpoint, data_bin), (corpus / "valid.txt").read_text().splitlines()
    scored = {
        int(line.split("\t")[0][2:]): [float(bits) for bits in line.split("\t")[1].split()]
        for line in run.output.splitlines()
        if line.startswith("P-")
    }
    assert len(scored) == len(lines) == 80 and "BLEU" not in run.output and "T-" not in run.output
    expected = lm.score([line + "\n" for line in lines])
    for number, score in enumerate(expected):
        assert score.tokens == [*lines[number].split(), "</s>"]
        assert scored[number] == pytest.approx((score.log_probs / math.log(2)).tolist(), abs=2e-4)

    from lm_plugins.models.recurrent_language_model import RecurrentLanguageModel

    interface = RecurrentLanguageModel.from_pretrained(
        str(checkpoint.parent), checkpoint.name, str(data_bin)
    ).eval()
    for text, score in zip(lines, interface.score(lines), strict=True):
        assert torch.allclose(score["positional_scores"], lm.score(text).log_probs, atol=1e-5)
    both = "\n".join(lines[:2])
    score = interface.score(both, replace_newline_with_eos=True)["positional_scores"]
    assert torch.allclose(score, lm.score(both).log_probs, atol=1e-5)
    assert interface.sample("w1 w2", beam=1, max_len_b=5).startswith("w1 w2")


def test_interactive_continues_what_is_typed(checkpoint, data_bin, tmp_path):
    (tmp_path / "typed.txt").write_text("w1 w2 w3\nw7\n\n")
    typed = ("--input", tmp_path / "typed.txt", "--max-len-b", "9", "--buffer-size", "3", "--batch-size", "3")
    sampled = ("--sampling", "--sampling-topk", "5", "--beam", "2", "--nbest", "2", "--temperature", "0.9")
    runs = [generate(data_bin, checkpoint, *typed, *sampled, program="interactive") for _ in range(2)]
    found = hypotheses(runs[0])
    assert found == hypotheses(runs[1]), "the same seed draws the same"
    assert [number for number, _, _ in found] == [0, 0, 1, 1, 2, 2]
    for number, _, tokens in found:
        prompt = (["w1", "w2", "w3"], ["w7"], [])[number]
        assert tokens[: len(prompt)] == prompt and len(tokens) <= 9
    refused(
        generate(data_bin, checkpoint, *typed, "--max-len-b", "2", program="interactive", succeeds=False),
        "give a larger --max-len-b",
    )


def test_scores_are_those_of_fairseq_eval_lm(checkpoint, data_bin, corpus):
    lm = load(checkpoint, data_bin)
    text = (corpus / "test.txt").read_text()
    score = lm.score(text)
    assert len(score.tokens) == len(score.log_probs) == len(text.split()) + text.count("\n")
    assert score.perplexity == pytest.approx(perplexity(evaluate(data_bin, checkpoint)), abs=0.006)


def test_samples_follow_the_probabilities(checkpoint, data_bin):
    lm = load(checkpoint, data_bin)
    features, _, _ = lm.decoder.extract_features(lm.encode("</s> w1 w2").unsqueeze(1))
    p = lm.decoder.output_head.log_prob(features[-1, 0]).detach().exp()
    p[[lm.dictionary.pad(), lm.dictionary.bos()]] = 0
    torch.manual_seed(4)
    for options, weights in (
        ({}, p),
        ({"temperature": 0.5}, p**2),
        ({"top_k": 3}, p * (p >= p.topk(3).values[-1])),
        ({"top_p": 0.3}, p * (p >= _nucleus(p, 0.3))),
        ({"temperature": 0}, p * (p == p.max())),
    ):
        draws = lm.sample(["w1 w2"] * 4000, length=1, **options)
        found = torch.zeros_like(p)
        for text in draws:
            word = text.removeprefix("w1 w2")
            found[lm.dictionary.index(word.strip()) if word.strip() else lm.dictionary.eos()] += 1
        found /= len(draws)
        expected = weights / weights.sum()
        assert (found[expected == 0] == 0).all()
        assert (found - expected).abs().sum() < 0.2, options  # about 0.1 for 4,000 draws from 60 words


def _nucleus(p, mass):
    ordered = (p / p.sum()).sort(descending=True).values
    return ordered[(ordered.cumsum(0) < mass).sum()] * p.sum()


def test_a_seed_repeats_a_sample_of_several_lines(checkpoint, data_bin):
    lm = load(checkpoint, data_bin)
    one, two = (lm.sample("w3", length=60, seed=7) for _ in range(2))
    assert one == two != lm.sample("w3", length=60, seed=8)
    assert one.startswith("w3") and "\n" in one
    assert len(lm.encode(one)) == 61 or one.endswith("\n")


@pytest.mark.parametrize("kind", ["byte", "underscore", "pieces"])
def test_other_dictionaries_come_out_as_text(kind, tmp_path):
    import sentencepiece

    from lm_plugins.models.awd_lstm import AWDLSTM

    text = ["the quick bröwn fox", "jumps over the lazy dog", "again the fox jumps"] * 8
    if kind == "pieces":
        (tmp_path / "raw.txt").write_text("\n".join(text))
        sentencepiece.SentencePieceTrainer.train(
            input=str(tmp_path / "raw.txt"), model_prefix=str(tmp_path / "sentencepiece"), vocab_size=40,
            minloglevel=2, hard_vocab_limit=False,
        )  # fmt: skip
        model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "sentencepiece.model"))
        lines = [" ".join(model.encode(line, out_type=str)) for line in text]
    elif kind == "byte":
        lines = [" ".join(str(byte) for byte in line.encode()) for line in text]
    else:
        lines = [" ".join(line.replace(" ", "_")) for line in text]
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("\n".join(lines) + "\n")
    data = binarize(tmp_path)
    if kind == "pieces":
        (tmp_path / "sentencepiece.model").rename(data / "sentencepiece.model")
    stated = () if kind == "pieces" else ("--text-level", kind)
    run = train(data, tmp_path / "model", "--max-update", "2", "--no-epoch-checkpoints", *stated)
    assert ("valid_bpc" in run.output) == bool(stated)
    lm = load(tmp_path / "model/checkpoint_last.pt", data)
    assert lm.decode(lm.encode("the lazy fox\nthe bröwn dog")) == "the lazy fox\nthe bröwn dog"
    assert lm.sample("the fox", length=0) == "the fox"
    interface = AWDLSTM.from_pretrained(str(tmp_path / "model"), "checkpoint_last.pt", str(data))
    score, text = lm.score("the fox"), interface.sample("the fox", beam=1, max_len_b=30)
    assert torch.allclose(interface.score("the fox")["positional_scores"], score.log_probs, atol=1e-5)
    assert text.startswith("the fox")
    assert lm.sample("the fox", length=9, seed=1).startswith("the fox")
    (tmp_path / "typed.txt").write_text("the fox\n")
    typed = ("--input", tmp_path / "typed.txt", "--max-len-b", "30", "--beam", "1", *stated)
    run = generate(data, tmp_path / "model/checkpoint_last.pt", *typed, program="interactive")
    assert (
        next(line for line in run.output.splitlines() if line.startswith("D-0"))
        .split("\t")[2]
        .startswith("the fox")
    )


def test_a_folder_stands_for_its_best_checkpoint(checkpoint, data_bin, tmp_path):
    shutil.copy(checkpoint, tmp_path / "checkpoint_best.pt")
    (tmp_path / "checkpoint_last.pt").write_text("another")
    scores = [load(path, data_bin).score("w1 w2").log_probs for path in (tmp_path, checkpoint)]
    assert torch.equal(*scores)


def test_a_newline_is_scored_as_the_end_of_a_sentence(checkpoint, data_bin):
    lm = load(checkpoint, data_bin)
    without, closed = lm.score(["w1 w2", "w1 w2\n"])
    assert without.tokens == ["w1", "w2"] and closed.tokens == ["w1", "w2", "</s>"]
    assert torch.allclose(without.log_probs, closed.log_probs[:2])
    assert lm.score([]) == []


def test_a_text_is_scored_with_a_cache_and_with_dynamic_evaluation(checkpoint, data_bin):
    from lm_plugins.evaluation.dynamic_evaluation import dynamic_evaluation
    from lm_plugins.evaluation.neural_cache import NeuralCache
    from lm_plugins.evaluation.scorers import CachedScorer, DynamicScorer, ModelScorer

    lm, text = load(checkpoint, data_bin), "w1 w2 w3\n"
    plain = lm.score(text)
    with dynamic_evaluation(lm.decoder.parameters(), lr=0.3, decay=0.0) as learner:
        model = DynamicScorer(ModelScorer(), learner)
        cached = CachedScorer(model, NeuralCache((10,), (1.0,)), 0.5)
        scores = lm.score([text] * 4, cached)
        learnt = lm.score(text)
    assert scores[0].log_probs[0] == plain.log_probs[0]  # an empty cache, and no step yet
    assert scores[3].perplexity < scores[1].perplexity and learnt.perplexity < plain.perplexity
    assert torch.equal(lm.score(text).log_probs, plain.log_probs)
    assert plain.perplexity == pytest.approx(float(plain.log_probs.mean().neg().exp()))


def test_what_cannot_be_is_refused(checkpoint, data_bin, tmp_path):
    from lm_plugins.errors import Refused
    from lm_plugins.hub import load as hub_load

    lm = load(checkpoint, data_bin)
    empty = lm.score("")
    assert empty.tokens == [] and empty.log_prob == 0 and math.isnan(empty.perplexity)
    with pytest.raises(Refused, match="a text is a str, not a NoneType"):
        lm.score(["w1", None])
    with pytest.raises(Refused, match="a text is a str, not a list"):
        lm.sample([["w1"]])
    for text in (None, 7, b"w1"):
        with pytest.raises(Refused, match="a text is a str, not a"):
            lm.score(text)
        with pytest.raises(Refused, match="a text is a str, not a"):
            lm.sample(text)
    with pytest.raises(Refused, match="top_p"):
        lm.sample("w1", top_p=0)
    with pytest.raises(Refused, match="there is no checkpoint"):
        load("missing.pt", data_bin)
    with pytest.raises(Refused, match="there is no checkpoint .*bin/checkpoint_best.pt"):
        load(data_bin, data_bin)
    with pytest.raises(Refused, match="the device 'gpu' cannot be used here"):
        hub_load(checkpoint, data_bin, device="gpu")
    junk = tmp_path / "junk.pt"
    for content in (b"", b"hello world", bytes(range(256)) * 9, pickle.dumps({"model": {}}, protocol=2)):
        junk.write_bytes(content)
        with pytest.raises(Refused, match="junk.pt is (empty|not a checkpoint)"):
            load(junk, data_bin)
    for state in ({"0.encoder.weight": torch.zeros(3, 2)}, [1, 2], torch.zeros(3)):
        torch.save(state, junk)
        with pytest.raises(Refused, match="junk.pt is (empty|not a checkpoint)"):
            load(junk, data_bin)
