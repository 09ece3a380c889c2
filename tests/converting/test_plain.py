"""A model of ours as plain tensors, and back."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from fairseq.data import Dictionary
from fairseq.models import build_model
from safetensors.torch import load_file

from lm_plugins.converting.checkpoint import build, write_checkpoint
from lm_plugins.converting.conversion import convert
from lm_plugins.converting.own import DIGEST, Own, own_options
from lm_plugins.data.dictionary import load_dictionary
from lm_plugins.errors import Refused
from lm_plugins.hub import LanguageModel, load
from tests.helpers.models import Task, config
from tests.helpers.runner import PLUGIN, perplexity, run_fairseq

TEXT = "w5 w6 nothing\nw4\n"
SMALL = ("--decoder-embed-dim", "4", "--decoder-hidden-size", "6", "--decoder-layers", "2")
TIED = "--share-decoder-input-output-embed"
ADAPTIVE = (
    "--output-layer",
    "adaptive_softmax",
    "--criterion",
    "adaptive_softmax",
    "--adaptive-softmax-cutoff",
    "6,9",
)
MODELS = {
    "awd_lstm": ("awd_lstm", TIED),
    "qrnn untied": ("qrnn",),
    "adaptive": ("qrnn", TIED, *ADAPTIVE),
    "adaptive untied": ("awd_gru", *ADAPTIVE, "--adaptive-softmax-factor", "2"),
    "mos": ("awd_lstm", TIED, "--output-layer", "mos", "--criterion", "mos", "--n-experts", "2"),
    "estimated": ("awd_lstm", "--nce-z", "estimated", "--memory-cells", "9"),
}


def own(arch: str, *flags: str, dictionary: Dictionary) -> Own:
    """Return a small model of `arch` with random weights."""
    torch.manual_seed(5)
    cfg = config(arch, *SMALL, *flags)
    model = build_model(cfg, SimpleNamespace(source_dictionary=dictionary))
    weights = {name: tensor for name, tensor in model.state_dict().items() if name != DIGEST}
    return Own(arch, own_options(type(model), cfg), weights, dictionary)


def saved(folder: Path, arch: str, *flags: str) -> Path:
    """Save a small model of `arch` with its dictionary, and return the folder."""
    model = own(arch, *flags, dictionary=Task(12).source_dictionary)
    folder.mkdir()
    model.dictionary.save(str(folder / "dict.txt"))
    write_checkpoint(build(model, str(folder)), str(folder))
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back(name, tmp_path):
    ours = saved(tmp_path / "ours", *MODELS[name])
    result = convert(str(ours), str(tmp_path / "plain"), to="safetensors")
    assert [Path(path).name for path in result["files"]] == ["config.json", "dict.txt", "model.safetensors"]
    tensors = load_file(tmp_path / "plain/model.safetensors")
    assert ("decoder.output_head.vocabulary.weight" in tensors) == (name in ("qrnn untied", "estimated"))
    assert convert(str(tmp_path / "plain"), str(tmp_path / "back"))["parameters"] == result["parameters"]
    models = load(ours), load(tmp_path / "back")
    assert torch.equal(models[0].score(TEXT).log_probs, models[1].score(TEXT).log_probs)


def test_what_a_token_is_and_its_pieces_are_kept(tmp_path):
    ours = saved(tmp_path / "ours", "awd_lstm")
    (ours / "text.json").write_text('{"level": "sentencepiece"}')
    (ours / "sentencepiece.model").write_bytes(b"model")
    convert(str(ours), str(tmp_path / "plain"), to="safetensors")
    convert(str(tmp_path / "plain/model.safetensors"), str(tmp_path / "back"))
    assert json.loads((tmp_path / "back/text.json").read_text()) == {"level": "sentencepiece"}
    assert (tmp_path / "back/sentencepiece.model").read_bytes() == b"model"


def test_the_level_that_was_typed_in_training_is_kept(tmp_path):
    """--text-level, for a data folder that does not record what a token is."""
    ours = saved(tmp_path / "ours", "awd_lstm")
    content = torch.load(ours / "checkpoint_best.pt", weights_only=True)
    content["cfg"]["task"]["text_level"] = "character"
    torch.save(content, ours / "checkpoint_best.pt")
    convert(str(ours), str(tmp_path / "plain"), to="safetensors")
    convert(str(tmp_path / "plain"), str(tmp_path / "back"))
    assert load(ours).level == load(tmp_path / "back").level == "character"


@pytest.mark.parametrize("options", [{"vocabulary": "words.txt"}, {"level": "byte"}, {"data": "data-bin"}])
def test_options_that_a_model_does_not_take_are_refused(options, tmp_path):
    ours = saved(tmp_path / "ours", "awd_lstm")
    convert(str(ours), str(tmp_path / "plain"), to="safetensors")
    flag = {"vocabulary": "--vocabulary", "level": "--text-level", "data": "--data"}[next(iter(options))]
    with pytest.raises(Refused, match=f"{flag} is for .*: leave it out"):
        convert(str(tmp_path / "plain"), str(tmp_path / "back"), **options)
    if flag != "--data":
        with pytest.raises(Refused, match=f"{flag} is for a model of another project"):
            convert(str(ours), str(tmp_path / "other"), to="safetensors", **options)


def altered(change):
    """Return a function that changes config.json."""

    def apply(folder: Path) -> None:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))

    return apply


@pytest.mark.parametrize(
    "change, sentence",
    [
        (altered(lambda config: config.update(format="transformers")), "not written by lm_plugins.convert"),
        (altered(lambda config: config.update(model="transformer_lm")), "has no model 'transformer_lm'"),
        (
            altered(lambda config: config["options"].update(decoder_embed_dim=10**9)),
            "weights have no such size",
        ),
        (altered(lambda config: config["options"].update(decoder_embed_dim=3)), "has the shape"),
        (altered(lambda config: config["options"].update(dropout="x")), "cannot have dropout = 'x'"),
        (altered(lambda config: config["options"].update(decoder_layers=1)), "does not belong to the model"),
        (lambda folder: (folder / "dict.txt").unlink(), "dict.txt"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x" * 100), "damaged"),
        (lambda folder: (folder / "config.json").write_text("{"), "damaged"),
    ],
)
def test_an_altered_folder_is_refused(change, sentence, tmp_path):
    convert(str(saved(tmp_path / "ours", "awd_lstm")), str(tmp_path / "plain"), to="safetensors")
    change(tmp_path / "plain")
    with pytest.raises(Refused, match=sentence):
        convert(str(tmp_path / "plain"), str(tmp_path / "back"))
    assert not (tmp_path / "back").exists() and not (tmp_path / "back.part").exists()


def test_a_checkpoint_of_ours_is_not_converted_into_one(tmp_path):
    ours = saved(tmp_path / "ours", "awd_lstm")
    with pytest.raises(Refused, match="is already a checkpoint of lm_plugins: give --to safetensors"):
        convert(str(ours / "checkpoint_best.pt"), str(tmp_path / "out"))


def test_a_data_folder_that_is_elsewhere(tmp_path):
    ours = saved(tmp_path / "ours", "awd_lstm")
    moved = ours.rename(tmp_path / "moved")
    reason = f"{ours}, the data folder that the checkpoint names, does not exist here: give --data FOLDER"
    for use in (load, lambda folder: convert(str(folder), str(tmp_path / "plain"), to="safetensors")):
        with pytest.raises(Refused, match=reason):
            use(moved)
    assert not (tmp_path / "plain").exists()
    assert load(moved, moved).score(TEXT).log_prob < 0


def test_fairseqs_programs_read_the_checkpoint(tmp_path, data_bin, corpus):
    """fairseq-eval-lm scores it, and training starts from it."""
    flags = (TIED, "--init-range", "1", "--rnn-init-range", "1")  # or all probabilities are nearly equal
    dictionary = load_dictionary(str(data_bin))
    model = own("awd_lstm", *flags, dictionary=dictionary)
    plain = build_model(config("awd_lstm", *SMALL, *flags), SimpleNamespace(source_dictionary=dictionary))
    plain.load_state_dict({**model.weights, DIGEST: plain.state_dict()[DIGEST]})
    lm = LanguageModel(plain.decoder.eval(), dictionary, str(data_bin), "word")
    expected = lm.score((corpus / "valid.txt").read_text()).perplexity
    write_checkpoint(build(model, str(data_bin)), str(tmp_path))
    path = str(tmp_path / "checkpoint_best.pt")
    scores = run_fairseq("eval-lm", data_bin, "--user-dir", PLUGIN, "--path", path, "--gen-subset", "valid")
    assert perplexity(scores) == pytest.approx(expected, rel=1e-4)
    train = ["--save-dir", tmp_path / "tuned", "--batch-size", "8", "--max-update", "2", "--lr", "1"]
    train += ["--batch-size-valid", "1"]  # as fairseq-eval-lm
    model = ["--arch", "awd_lstm", *SMALL, TIED, "--optimizer", "nt_asgd", "--finetune-from-model", path]
    trained = run_fairseq("train", data_bin, "--user-dir", PLUGIN, *model, *train)
    said = trained.output.split("the loaded model has a validation loss of ")[1].split()[0]
    assert float(said) == pytest.approx(math.log2(expected), rel=1e-4)
