"""fairseq-eval-lm scores every target once, with the state carried, and prints the right number."""

import math

import pytest
import torch

from recipes.logs import logged
from tests.helpers.checkpoints import load
from tests.helpers.plain_model import NO_DROPOUT, NO_REGULARISATION, PlainModel, plain_epoch, tokens_of
from tests.helpers.runner import PLUGIN, evaluate, perplexity, run_fairseq, train


@pytest.fixture(scope="module", params=["awd_lstm_ptb", "qrnn_ptb"])
def trained(request, data_bin, tmp_path_factory):
    """Return the folder of checkpoints and the run of a model whose state matters, trained for an epoch."""
    folder = tmp_path_factory.mktemp(request.param)
    large = (*NO_DROPOUT, *NO_REGULARISATION, "--init-range", "1", "--rnn-init-range", "1")
    return folder, train(data_bin, folder, "--max-epoch", "1", *large, arch=request.param)


@pytest.fixture(scope="module")
def evaluated(trained, data_bin):
    """Return its evaluation without additional flags."""
    return evaluate(data_bin, trained[0] / "checkpoint_last.pt")


def test_equals_a_plain_torch_loop(trained, data_bin):
    folder, _ = trained
    weights = load(folder / "checkpoint_last.pt")["model"]
    if "decoder.layers.0.weight_hh_l0" not in weights:
        pytest.skip("the plain loop is an LSTM")
    with torch.no_grad():
        bits = plain_epoch(PlainModel(weights), tokens_of(data_bin, "test"), 1, 50)
    finished = evaluate(data_bin, folder / "checkpoint_last.pt", "--gen-subset", "test")
    assert f"Loss (base 2): {bits:.4f}, Perplexity: {2**bits:.2f}" in finished.output


def test_all_targets_are_scored_and_counted_in_the_log(evaluated, data_bin):
    count = f"{len(tokens_of(data_bin, 'test')):,}"
    assert f"scored {count} of {count} targets of 'test'" in evaluated.output
    assert f"Evaluated {count} tokens" in evaluated.output


def test_the_window_changes_nothing(trained, data_bin):
    folder, _ = trained
    perplexities = [
        perplexity(evaluate(data_bin, folder / "checkpoint_last.pt", "--tokens-per-sample", window))
        for window in ("1", "35", "100", "100000")
    ]
    assert max(perplexities) - min(perplexities) <= 0.01


def test_it_prints_the_perplexity_that_training_logged(trained, data_bin):
    folder, run = trained
    ppl = float(logged(run.output, "valid")[-1]["valid_ppl"])
    again = evaluate(data_bin, folder / "checkpoint_last.pt", "--gen-subset", "valid", "--batch-size", "4")
    assert perplexity(again) == pytest.approx(ppl, abs=0.006)


def test_softmax_batch_and_word_probabilities_agree(trained, evaluated, data_bin):
    folder, _ = trained
    path = folder / "checkpoint_last.pt"
    plain = perplexity(evaluated)
    assert perplexity(evaluate(data_bin, path, "--softmax-batch", "7")) == plain
    words = evaluate(data_bin, path, "--output-word-probs", "--output-word-stats")
    assert perplexity(words) == plain
    scores = [
        float(score.split("]")[0])
        for line in words.output.splitlines()
        if "\t" in line and " [" in line
        for score in line.split(" [")[1:]
    ]
    assert len(scores) == len(tokens_of(data_bin, "test"))
    assert math.exp(-sum(scores) / len(scores)) == pytest.approx(plain, abs=0.01)


def test_fairseq_validate_agrees(trained, evaluated, data_bin):
    folder, _ = trained
    path = folder / "checkpoint_last.pt"
    finished = run_fairseq(
        "validate", data_bin, "--user-dir", PLUGIN, "--path", path, "--log-format", "json",
        "--valid-subset", "test",
    )  # fmt: skip
    (result,) = logged(finished.output, "test")
    assert float(result["test_ppl"]) == pytest.approx(perplexity(evaluated), abs=0.006)


def test_evaluation_is_quiet(evaluated):
    output = evaluated.output
    assert "warning" not in output.lower() and "Traceback" not in output
