"""Noise contrastive estimation and the sampled softmax, through fairseq."""

import json
import shutil

import pytest
import torch

from recipes.logs import logged
from tests.helpers.checkpoints import largest_difference, load, same_weights
from tests.helpers.plugin import write_plugin
from tests.helpers.refusals import files, refused
from tests.helpers.runner import evaluate, perplexity, train, train_ranks

NCE = (
    "--criterion", "nce", "--nce-k", "20", "--no-share-decoder-input-output-embed", "--weight-decay", "0",
    "--optimizer", "adam", "--lr", "0.02", "--clip-norm", "1",
)  # fmt: skip
SPARSE = ("--sparse-embedding-grad", "--optimizer", "nt_asgd", "--averaging", "never", "--lr", "2")
KINDS = {
    "nce": (),
    "shared noise": ("--nce-shared-noise",),
    "row noise": ("--nce-row-noise",),
    "learned": ("--nce-z", "learned"),
    "estimated": ("--nce-z", "estimated", "--nce-noise-power", "0.75"),
    "sampled softmax": ("--nce-loss", "sampled_softmax"),
    "log-uniform": ("--nce-loss", "sampled_softmax", "--nce-noise", "log_uniform"),
    "TensorFlow's sampled softmax": (
        "--nce-loss", "tf_sampled_softmax", "--nce-noise", "log_uniform", "--nce-distinct-noise",
        "--nce-shared-noise",
    ),
    "distinct noise per step": ("--nce-distinct-noise",),
    "distinct row noise": ("--nce-loss", "tf_sampled_softmax", "--nce-distinct-noise", "--nce-row-noise"),
    "sparse": SPARSE,
    "sparse adagrad": ("--sparse-embedding-grad", "--optimizer", "sparse_adagrad", "--lr", "0.3"),
}  # fmt: skip


STATEFUL = (
    "nce",
    "TensorFlow's sampled softmax",
    "learned",
    "estimated",
    "sparse",
    "sparse adagrad",
)  # each in its own way


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_validates_exactly_and_resumes_bitwise(kind, data_bin, tmp_path):
    flags = (*NCE, *KINDS[kind])
    run = train(data_bin, tmp_path / "whole", *flags, "--max-epoch", "2")
    ppl = [float(epoch["valid_ppl"]) for epoch in logged(run.output, "valid")]
    assert ppl[-1] < min(ppl[0], 60), "no better than a uniform distribution over the 60 words"
    assert all("train_ppl" not in epoch and "train_loss" in epoch for epoch in logged(run.output, "train"))
    last = tmp_path / "whole/checkpoint_last.pt"
    again = evaluate(data_bin, last, "--gen-subset", "valid", "--batch-size", "4")
    assert perplexity(again) == pytest.approx(ppl[-1], abs=0.006)
    if kind in STATEFUL:
        resumed = tmp_path / "resumed"
        resumed.mkdir()
        shutil.copy(tmp_path / "whole/checkpoint1.pt", resumed / "checkpoint_last.pt")
        train(data_bin, resumed, *flags, "--max-epoch", "2")
        assert same_weights(last, resumed / "checkpoint_last.pt")


def test_sparse_gradients_train_what_dense_ones_do(data_bin, tmp_path):
    flags = (*NCE, *SPARSE[1:], "--max-epoch", "1")
    for name, flag in (("dense", ()), ("sparse", SPARSE[:1])):
        train(data_bin, tmp_path / name, *flags, *flag)
    dense, sparse = (load(tmp_path / name / "checkpoint_last.pt")["model"] for name in ("dense", "sparse"))
    for key in dense:
        torch.testing.assert_close(dense[key], sparse[key], rtol=1e-4, atol=1e-5)


def test_the_estimate_of_z_is_kept_and_alike_on_all_ranks(data_bin, tmp_path):
    flags = (*NCE, "--nce-z", "estimated", "--max-epoch", "1")
    train_ranks(2, data_bin, tmp_path, *flags, "--batch-size", "2")
    weights = load(tmp_path / "checkpoint_last.pt")["model"]
    assert weights["decoder.output_head.estimates"] == 1
    assert 0 < abs(weights["decoder.output_head.log_z"].item()) < 1


RECORDING = """
from pathlib import Path

from lm_plugins.criterions.nce import NCE, NCEConfig
from lm_plugins.ranks import rank_and_world


@register_criterion("recorded_nce", dataclass=NCEConfig)
class RecordedNCE(NCE):
    def noise_words(self, *window):
        words, tries = super().noise_words(*window)
        (Path(__file__).parent / f"noise{rank_and_world()[0]}").write_text(str(words.tolist()))
        return words, tries
"""


def test_each_rank_draws_its_own_noise(data_bin, tmp_path):
    """With the same noise two ranks of two streams would train like one of four."""
    plugin = write_plugin(tmp_path, RECORDING)
    flags = (*NCE, "--user-dir", plugin, "--criterion", "recorded_nce", "--max-update", "1", "--no-save")
    train_ranks(2, data_bin, tmp_path / "two", *flags, "--batch-size", "2")
    noise = [json.loads((plugin / f"noise{rank}").read_text()) for rank in range(2)]
    assert [len(words) for words in noise] == [10, 10] and noise[0] != noise[1]


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--nce-k", "0"), "--nce-k is 0"),
        (("--nce-k", "65"), "--nce-k is 65: it must be from 1 to 64"),
        (("--nce-row-noise", "--nce-shared-noise"), "give only one of them"),
        (("--nce-distinct-noise", "--nce-k", "33"), "give an --nce-k of at most 32"),
        (("--nce-loss", "sampled_softmax", "--nce-z", "learned"), "--nce-z learned applies only to"),
        (("--output-layer", "mos"), "--criterion nce needs a model whose output layer is Softmax"),
        (("--optimizer", "adam", "--sparse-embedding-grad"), "--optimizer nt_asgd"),
        ((*SPARSE, "--weight-decay", "0.1"), "give --weight-decay 0"),
        ((*SPARSE, "--fp16", "--fp16-init-scale", "4"), "in float32"),
    ],
)
def test_options_that_do_not_fit_are_refused(data_bin, tmp_path, flags, part):
    refused(train(data_bin, tmp_path / "new", *NCE, *flags, succeeds=False), part)
    assert {path.name for path in files(tmp_path)} <= {"crash.pt"}  # fairseq's, of a first update


L2 = ("--output-l2", "0.01")


def test_l2_of_the_output_matrix_shrinks_it_alike_on_two_processes(data_bin, tmp_path):
    flags = ("--max-epoch", "1", "--no-epoch-checkpoints", "--weight-decay", "0")
    paths = {name: tmp_path / name / "checkpoint_last.pt" for name in ("plain", "one", "two")}
    train(data_bin, tmp_path / "plain", *flags)
    train(data_bin, tmp_path / "one", *flags, *L2)
    train_ranks(2, data_bin, tmp_path / "two", *flags, *L2, "--batch-size", "2")
    assert largest_difference(paths["one"], paths["two"]) < 1e-5
    norms = [load(paths[name])["model"]["decoder.embed_tokens.weight"].norm() for name in ("plain", "one")]
    assert norms[1] < 0.9 * norms[0]


@pytest.mark.parametrize(
    "flags",
    [
        (*NCE, *SPARSE),
        ("--split-vocabulary", *SPARSE),
        ("--no-share-decoder-input-output-embed", "--output-rank", "5"),
    ],
)
def test_l2_of_a_matrix_that_is_not_one_dense_tensor_is_refused(data_bin, tmp_path, flags):
    flags = (*flags, *L2, "--weight-decay", "0")
    refused(train(data_bin, tmp_path, *flags, succeeds=False), "--output-l2 needs")


def test_sparse_gradients_of_several_processes_are_refused(data_bin, tmp_path):
    runs = train_ranks  # each of the two says so
    with pytest.raises(AssertionError, match="fairseq all-reduces only dense gradients"):
        runs(2, data_bin, tmp_path, *NCE, *SPARSE, "--batch-size", "2", "--max-update", "2")


def test_words_that_never_occur_are_reported(data_bin, tmp_path):
    run = train(data_bin, tmp_path, *NCE, "--max-update", "1")
    assert (
        "words never occur in the training data: the noise distribution counts each as 1" in run.output
    )  # <s> and <pad>
