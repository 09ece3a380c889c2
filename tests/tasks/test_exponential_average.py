"""Training with --averaging ema: what is validated, saved and evaluated is the average."""

import pytest
import torch

from recipes.logs import logged
from tests.helpers.checkpoints import load, optimizer_state, same_optimizer, same_weights
from tests.helpers.runner import evaluate, perplexity, train

EMA = ("--optimizer", "nt_asgd", "--averaging", "ema", "--averaging-decay", "0.95", "--lr", "4")


def test_it_is_saved_evaluated_and_resumed_bitwise(data_bin, tmp_path):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    finished = train(data_bin, whole, *EMA, "--max-update", "40")
    train(data_bin, stopped, *EMA, "--max-update", "17")
    train(data_bin, stopped, *EMA, "--max-update", "40")
    last = whole / "checkpoint_last.pt"
    assert same_weights(last, stopped / "checkpoint_last.pt")
    assert same_optimizer(last, stopped / "checkpoint_last.pt")
    saved, state = list(load(last)["model"].values()), optimizer_state(last)
    for average, iterate in zip(state["averages"], state["iterates"], strict=True):
        assert any(torch.equal(average, weight) for weight in saved if weight.shape == average.shape)
        assert not torch.equal(average, iterate)
    validated = logged(finished.output, "valid")[-1]
    flags = ("--cpu", "--gen-subset", "valid", "--batch-size", "4")
    evaluated = perplexity(evaluate(data_bin, last, *flags))
    assert evaluated == pytest.approx(float(validated["valid_ppl"]), abs=0.02)
