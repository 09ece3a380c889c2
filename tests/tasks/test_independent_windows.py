"""--independent-windows through fairseq: against a plain loop, resumed, in two processes, and evaluated."""

import shutil

import pytest
import torch
from torch.nn import functional as F

from lm_plugins.data.independent_windows import shuffled_windows
from lm_plugins.data.token_stream import TokenStream
from recipes.logs import logged
from tests.helpers.checkpoints import largest_difference, load, same_weights
from tests.helpers.plain_model import NO_DROPOUT, NO_REGULARISATION, PlainModel, tokens_of
from tests.helpers.refusals import refused
from tests.helpers.runner import evaluate, perplexity, run_fairseq, train, train_ranks

INDEPENDENT = ("--independent-windows", "--random-start")
PAD, EOS, WINDOW, STREAMS = 1, 2, 10, 4


def nll(model, source, target):
    """Sum of -ln p of the targets of windows [B, T], each from a zero state."""
    logits, _ = model(source.t(), [None] * len(model.layers))
    return F.cross_entropy(logits.flatten(0, 1), target.t().flatten(), ignore_index=PAD, reduction="sum")


def plain_epoch(model, tokens, epoch, optimizer):
    """The mean loss in bits of an epoch of shuffled windows, with an update for each batch."""
    corpus = TokenStream("train", tokens.numpy(), [len(tokens)])
    windows = shuffled_windows(corpus, STREAMS, WINDOW, seed=3, move_start=True)(epoch)
    total = 0.0
    for start in range(0, windows.length, WINDOW):
        steps = torch.arange(start, start + WINDOW).numpy()
        source, target = map(torch.from_numpy, windows.windows(steps, PAD, EOS))
        loss = nll(model, source, target)
        total += loss.item()
        optimizer.zero_grad()
        (loss / int(target.ne(PAD).sum())).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
    return total / len(tokens) / torch.tensor(2.0).log().item()


def test_training_and_evaluation_equal_a_plain_torch_loop(data_bin, tmp_path):
    large = ("--init-range", "0.8", "--rnn-init-range", "0.8")  # so that the state matters
    flags = (*INDEPENDENT, *NO_DROPOUT, *NO_REGULARISATION, *large)
    finished = train(data_bin, tmp_path, "--max-epoch", "3", *flags)
    trained, valid = logged(finished.output, "train"), logged(finished.output, "valid")
    model = PlainModel(load(tmp_path / "checkpoint1.pt")["model"])
    optimizer = torch.optim.SGD(model.parameters(), lr=2)
    for epoch in (2, 3):
        loss = plain_epoch(model, tokens_of(data_bin, "train"), epoch, optimizer)
        assert float(trained[epoch - 1]["train_loss"]) == pytest.approx(loss, abs=1e-5)
    weights = load(tmp_path / "checkpoint3.pt")["model"]
    torch.testing.assert_close(weights["decoder.embed_tokens.weight"], model.table.data, rtol=0, atol=1e-5)

    tokens = tokens_of(data_bin, "valid")
    source = torch.cat([torch.tensor([EOS]), tokens[:-1]])
    with torch.no_grad():
        windows = zip(source.split(WINDOW), tokens.split(WINDOW), strict=True)
        expected = sum(nll(model, a.unsqueeze(0), b.unsqueeze(0)) for a, b in windows) / len(tokens)
    last, size = tmp_path / "checkpoint_last.pt", ("--tokens-per-sample", WINDOW, "--gen-subset", "valid")
    scored = perplexity(evaluate(data_bin, last, "--independent-windows", *size, "--cpu"))
    assert scored == pytest.approx(expected.exp().item(), abs=0.006)
    carried = perplexity(evaluate(data_bin, last, *size, "--cpu"))
    assert scored != carried, "without the flag the state is carried"
    again = evaluate(data_bin, last, "--independent-windows", *size, "--cpu", "--batch-size", STREAMS)
    assert perplexity(again) == pytest.approx(float(valid[-1]["valid_ppl"]), abs=0.006)


@pytest.mark.parametrize("arch", ["awd_lstm_ptb", "qrnn_ptb"])
def test_it_resumes_bitwise_within_an_epoch(data_bin, tmp_path, arch):
    flags = (*INDEPENDENT, "--max-epoch", "2", "--save-interval-updates", "50", "--update-freq", "2")
    train(data_bin, tmp_path / "whole", *flags, arch=arch)
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    shutil.copy(tmp_path / "whole/checkpoint_1_50.pt", resumed / "checkpoint_last.pt")
    assert "Loaded checkpoint" in train(data_bin, resumed, *flags, arch=arch).output
    assert same_weights(*(tmp_path / name / "checkpoint_last.pt" for name in ("whole", "resumed")))
    other = train(data_bin, resumed, "--max-epoch", "3", "--accept-changes", arch=arch, succeeds=False)
    refused(other, "order of windows = 3, but this run has None", "--independent-windows")


def test_two_processes_train_like_one(data_bin, tmp_path):
    flags = (*INDEPENDENT, "--max-epoch", "2")
    train(data_bin, tmp_path / "one", *flags)
    train_ranks(2, data_bin, tmp_path / "two", *flags, "--batch-size", "2")
    assert largest_difference(*(tmp_path / name / "checkpoint_last.pt" for name in ("one", "two"))) < 1e-5


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--sample-break-mode", "eos"), "--sample-break-mode eos"),
        (("--rotate-streams",), "--rotate-streams"),
        (("--bptt-variation", "5"), "--bptt-variation"),
    ],
)
def test_options_that_need_a_carried_state_are_refused(data_bin, tmp_path, flags, part):
    run = train(data_bin, tmp_path, "--independent-windows", *flags, succeeds=False)
    refused(run, "--independent-windows cannot go with", part)


def test_warmed_up_streams_are_refused(data_bin, tmp_path):
    train(data_bin, tmp_path, "--max-update", "1", "--no-epoch-checkpoints")
    path = ("--user-dir", "lm_plugins", "--path", tmp_path / "checkpoint_last.pt", "--eval-streams", "2")
    run = run_fairseq("eval-lm", data_bin, *path, "--cpu", "--independent-windows", succeeds=False)
    refused(run, "leave out --eval-streams")


def test_the_preset_of_openseq2seq_learns_with_its_sampled_softmax(data_bin, tmp_path):
    regime = (
        "--optimizer",
        "adam",
        "--lr",
        "0.02",
        "--nce-k",
        "20",
        "--update-freq",
        "2",
        "--max-epoch",
        "3",
    )
    run = train(data_bin, tmp_path, *regime, "--candidate-dropout", "0", arch="lstm_wt103")
    ppl = [float(epoch["valid_ppl"]) for epoch in logged(run.output, "valid")]
    assert ppl[-1] < min(ppl[0], 50), "much better than a uniform distribution over the 60 words"
    reg = [float(epoch["train_reg"]) for epoch in logged(run.output, "train")]
    assert all(value > 0 for value in reg), "L2 of the tied matrix"
