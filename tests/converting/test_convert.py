"""Models of other projects give the same ln p after conversion."""

import json
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lm_plugins.convert import main
from lm_plugins.converting import awd_lstm_lm
from lm_plugins.converting.conversion import convert, read_translated
from lm_plugins.errors import Refused
from lm_plugins.hub import load
from tests.helpers import peer_models as peers

TEXT = ["the", "dog", "sat", "<eos>", "a", "far", "away", "<unk>", "<eos>"]


@pytest.fixture
def words(tmp_path):
    """Return the vocabulary as a file of symbols."""
    path = tmp_path / "words.txt"
    path.write_text("\n".join(peers.WORDS) + "\n")
    return str(path)


def ids(names=TEXT, words=peers.WORDS):
    return torch.tensor([words.index(name) for name in names])


def expected(log_prob, names=TEXT, words=peers.WORDS):
    """Return ln p of each word of the text after an end of line."""
    return log_prob.gather(1, ids(names, words).unsqueeze(1)).squeeze(1)


def after_end(names=TEXT, words=peers.WORDS, end="<eos>"):
    return ids([end, *names[:-1]], words)


def scored(out, text="the dog sat\na far away <unk>\n"):
    return load(out).score(text).log_probs


def same(one, other):
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "QRNN", "GRU"])
@pytest.mark.parametrize("zipped", [True, False], ids=["torch >= 1.6", "torch < 1.6"])
def test_awd_lstm_lm(kind, zipped, tmp_path, words):
    model = peers.RNNModel(kind)
    weights = model.state_dict()
    optimizer = torch.optim.ASGD(model.parameters(), lr=30)
    saved = [model, peers.SplitCrossEntropyLoss(peers.EMBEDDING, []), optimizer]
    path = peers.save(saved, tmp_path / "PTB.pt", _use_new_zipfile_serialization=zipped)
    out = tmp_path / "out"
    result = convert(path, str(out), words)
    assert result["absent"] == ["<s>", "<pad>"] and result["words"] == len(peers.WORDS) + 2
    assert result["parameters"] == sum(p.numel() for p in model.parameters()) + 2 * (peers.EMBEDDING + 1)
    h = peers.features(weights, kind, after_end())
    log_prob = F.linear(h, weights["decoder.weight"], weights["decoder.bias"]).log_softmax(-1)
    same(scored(out), expected(log_prob))


@pytest.mark.parametrize("splits", [[4], [5, 9]])
def test_the_split_softmax_of_awd_lstm_lm(splits, tmp_path, words):
    model, criterion = peers.RNNModel("LSTM"), peers.SplitCrossEntropyLoss(peers.EMBEDDING, splits)
    weights = model.state_dict()
    path = peers.save([model, criterion, None], tmp_path / "WT103.pt")
    convert(path, str(tmp_path / "out"), words)
    h = peers.features(weights, "LSTM", after_end())
    log_prob = peers.split_log_prob(h, weights["decoder.weight"], weights["decoder.bias"], criterion)
    same(scored(tmp_path / "out"), expected(log_prob))


@pytest.mark.parametrize("whole", [True, False], ids=["module", "state_dict"])
def test_a_large_model_of_awd_lstm_lm_without_its_criterion_is_refused(whole, tmp_path, monkeypatch):
    """Its probabilities would be those of a full softmax, which it was not trained with."""
    monkeypatch.setattr(awd_lstm_lm, "SPLIT", len(peers.WORDS) - 1)
    model = peers.RNNModel("LSTM")
    path = peers.save(model if whole else model.state_dict(), tmp_path / "WT103.pt")
    with pytest.raises(Refused, match="has no criterion, in which a model of 12 words has its split softmax"):
        read_translated(path)
    full = [model, nn.CrossEntropyLoss()]
    assert not read_translated(peers.save(full, tmp_path / "full.pt"))[1].cutoffs


@pytest.mark.parametrize("whole", [True, False], ids=["module", "state_dict"])
@pytest.mark.parametrize("tied", [True, False])
def test_mos(whole, tied, tmp_path, words):
    model = peers.RNNModel("LSTM", experts=3, last=5, tied=tied)
    weights = model.state_dict()
    path = peers.save(model if whole else weights, tmp_path / "model.pt")
    assert convert(path, str(tmp_path / "out"), words)["project"] == "mos"
    log_prob = peers.mixture_log_prob(peers.features(weights, "LSTM", after_end()), weights)
    same(scored(tmp_path / "out"), expected(log_prob))


FASTAI = ["xxunk", "xxpad", "xxbos", "\n", *peers.WORDS[4:], "xxfake", "xxfake"]


@pytest.mark.parametrize("kind", ["LSTM", "QRNN"])
@pytest.mark.parametrize("form", ["pkl", "json", "txt"])
def test_fastai(kind, form, tmp_path):
    words = FASTAI if form != "txt" else ["new" if word == "\n" else word for word in FASTAI]
    model = peers.RNNModel(kind)
    model.encoder = nn.Embedding(len(words), peers.EMBEDDING)
    model.decoder = nn.Linear(peers.EMBEDDING, len(words))
    model.decoder.weight = model.encoder.weight
    weights = model.state_dict()
    rename = {"encoder": "0.encoder", "decoder": "1.decoder", "rnns": "0.rnns"}
    saved = {
        name.replace(first, rename[first], 1).replace("linear", "layers.0.linear"): tensor
        for name, tensor in weights.items()
        for first in [name.split(".")[0]]
    }
    path = peers.save(
        {"model": {**saved, "0.encoder_dp.emb.weight": weights["encoder.weight"]}}, tmp_path / "lm.pth"
    )
    itos = tmp_path / f"itos.{form}"
    itos.write_bytes(
        {
            "pkl": pickle.dumps,
            "json": lambda x: json.dumps(x).encode(),
            "txt": lambda x: "\n".join(x).encode("utf-8-sig"),
        }[form](words)
    )
    convert(path, str(tmp_path / "out"), str(itos))
    names = ["sat", "on", "xxbos", "a", "xxunk", "xxbos"]
    h = peers.features(weights, kind, after_end(names, words, "xxbos"))
    log_prob = F.linear(h, weights["decoder.weight"], weights["decoder.bias"]).log_softmax(-1)
    same(scored(tmp_path / "out", "sat on\na <unk>\n"), expected(log_prob, names, words))
    symbols = load(tmp_path / "out").dictionary.symbols
    assert r"\n" in symbols or form == "txt"
    assert len(symbols) == len(words) + 1  # <s>


def test_the_vocabularies_of_awd_lstm_lm(tmp_path, words):
    """A folder of texts and a corpus that was saved give the words in the order of their occurrence."""

    class Dictionary:
        def __init__(self):
            self.idx2word, self.counter = peers.WORDS, {index: index + 1 for index in range(len(peers.WORDS))}

    class Corpus:
        def __init__(self):
            self.dictionary = Dictionary()

    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.txt").write_text("the <unk> cat\nsat on mat\n")
    (folder / "valid.txt").write_text("a dog the\n")
    (folder / "test.txt").write_text("ran far away\n")
    with peers.modules(data={"Dictionary": Dictionary, "Corpus": Corpus}):
        torch.save(Corpus(), tmp_path / "corpus.data")
    path = peers.save(peers.RNNModel("LSTM").state_dict(), tmp_path / "model.pt")
    for number, vocabulary in enumerate([words, folder, tmp_path / "corpus.data"]):
        convert(path, str(tmp_path / str(number)), str(vocabulary))
    models = [load(tmp_path / str(number)) for number in range(3)]
    assert models[0].dictionary.symbols == models[1].dictionary.symbols == models[2].dictionary.symbols
    counts = [dict(zip(m.dictionary.symbols, m.dictionary.count, strict=True))["the"] for m in models]
    assert counts == [1, 2, 1]


def test_dropouts_are_those_of_the_model(tmp_path, words):
    convert(
        peers.save([peers.RNNModel("LSTM")], tmp_path / "m.pt"), str(tmp_path / "out"), words, "safetensors"
    )
    options = json.loads((tmp_path / "out/config.json").read_text())["options"]
    assert options["weight_dropout"] == 0.25 and options["input_dropout"] == 0.65


@pytest.mark.parametrize(
    "weights, sentence",
    [
        ({"encoder": {"rnn": {"w_mih": torch.ones(1)}}}, "mLSTM.* of NVIDIA's sentiment-discovery"),
        ({"layers.0.dec_attn.qkv_net.weight": torch.ones(1)}, "a Transformer"),
        ({"rnn.weight_ih_l0": torch.ones(1), "encoder.weight": torch.ones(1)}, "word_language_model"),
        ({"encoder.weight": torch.ones(1), "encoder_dp.emb.weight": torch.ones(1)}, "save_encoder"),
        ({"x": torch.ones(1)}, "weights of an unknown model .x"),
        (
            {"encoder.weight": torch.ones(1), "decoder.bias": torch.ones(1), "rnns.0.x": torch.ones(1)},
            "incomplete",
        ),
        ([1, 2], "no model that can be recognised"),
    ],
)
def test_other_models_are_refused_by_name(weights, sentence, tmp_path, words):
    torch.save(weights, tmp_path / "model.pt")
    with pytest.raises(Refused, match=sentence):
        convert(str(tmp_path / "model.pt"), str(tmp_path / "out"), words)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("out")] == []


def test_a_checkpoint_of_tensorflow_is_refused(tmp_path):
    (tmp_path / "model.ckpt-1.index").write_bytes(b"x")
    with pytest.raises(Refused, match="TensorFlow, such as OpenSeq2Seq"):
        convert(str(tmp_path / "model.ckpt-1"), str(tmp_path / "out"))


@pytest.mark.parametrize(
    "symbols, sentence",
    [
        (peers.WORDS[:-1], "has 11 symbols, but .* has 12 words"),
        ([*peers.WORDS[:-1], "the"], "symbol 11 of the vocabulary, 'the', is empty or occurs twice"),
        ([*peers.WORDS[:-1], "</s>"], "both </s> and <eos>"),
    ],
)
def test_a_vocabulary_that_does_not_fit(symbols, sentence, tmp_path):
    (tmp_path / "words.json").write_text(json.dumps(symbols))
    path = peers.save(peers.RNNModel("LSTM").state_dict(), tmp_path / "model.pt")
    with pytest.raises(Refused, match=sentence):
        convert(path, str(tmp_path / "out"), str(tmp_path / "words.json"))


def test_a_split_softmax_whose_end_of_line_is_rare_is_refused(tmp_path, words):
    saved = [peers.RNNModel("LSTM"), peers.SplitCrossEntropyLoss(peers.EMBEDDING, [2])]
    with pytest.raises(Refused, match="not among the frequent words"):
        convert(peers.save(saved, tmp_path / "m.pt"), str(tmp_path / "out"), words)


def test_a_folder_with_files_is_not_overwritten(tmp_path, words):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/checkpoint_best.pt").write_text("mine")
    path = peers.save(peers.RNNModel("LSTM").state_dict(), tmp_path / "model.pt")
    with pytest.raises(Refused, match="already exists"):
        convert(path, str(tmp_path / "out"), words)
    assert (tmp_path / "out/checkpoint_best.pt").read_text() == "mine"


def test_the_command(tmp_path, words, monkeypatch, capsys):
    path = peers.save(peers.RNNModel("LSTM").state_dict(), tmp_path / "model.pt")
    command = ["lm_plugins.convert", path, str(tmp_path / "out"), "--vocabulary", words]
    monkeypatch.setattr("sys.argv", [*command, "--json"])
    main()
    assert json.loads(capsys.readouterr().out)["model"] == "awd_lstm"
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2 and "already exists" in capsys.readouterr().err
