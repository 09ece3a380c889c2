"""bf16 by autocast and fairseq's fp16 train like float32, and resume bitwise, on the CPU."""

import shutil

import pytest
import torch

from lm_plugins.explanations import sentence
from recipes.logs import logged
from tests.helpers.checkpoints import load, optimizer_state, same_optimizer, same_weights
from tests.helpers.kill import kill_after
from tests.helpers.plain_model import NO_DROPOUT
from tests.helpers.runner import TINY, Run, evaluate, perplexity, train

ADAM = ("--optimizer", "adam", "--lr", "0.02", "--max-update", "200", "--seed", "2", *NO_DROPOUT)
BF16 = ("--autocast", "bf16")
FP16 = ("--fp16", "--fp16-init-scale", "4")
DOUBLES = ("--fp16-scale-window", "25")  # the loss scale, after updates 25, 50, 75 and so on
LAST = "checkpoint_last.pt"


@pytest.mark.parametrize("arch", ["awd_lstm_ptb", "qrnn_ptb"])
def test_the_perplexity_after_200_updates(data_bin, tmp_path, arch):
    """Within 0.5 % of float32, where the model has learned: 60 words, far below a perplexity of 60."""
    ppl = {}
    for name, flags in (("fp32", ()), ("bf16", BF16), ("fp16", FP16)):
        finished = train(data_bin, tmp_path / name, *ADAM, *flags, arch=arch)
        ppl[name] = float(logged(finished.output, "valid")[-1]["valid_ppl"])
    assert ppl["fp32"] < 30
    assert ppl["bf16"] != ppl["fp32"] and ppl["fp16"] != ppl["fp32"], "nothing was mixed"
    assert ppl["bf16"] == pytest.approx(ppl["fp32"], rel=0.005)
    assert ppl["fp16"] == pytest.approx(ppl["fp32"], rel=0.005)


def test_weights_and_state_stay_in_float32_with_autocast(data_bin, tmp_path):
    finished = train(data_bin, tmp_path, "--max-update", "20", *BF16, "--save-interval-updates", "20")
    saved = load(tmp_path / LAST)
    assert {w.dtype for n, w in saved["model"].items() if "digest" not in n} == {torch.float32}
    (state,) = saved["extra_state"]["RecurrentLanguageModelingTask"]["rank_states"]
    assert {part.dtype for layer in state["state"] for part in layer} == {torch.float32}
    ppl = float(logged(finished.output, "valid")[-1]["valid_ppl"])
    again = evaluate(data_bin, tmp_path / LAST, "--gen-subset", "valid", "--batch-size", "4")
    assert perplexity(again) == pytest.approx(ppl, abs=0.006), "validation is not autocast"


@pytest.mark.parametrize("flags", [BF16, (*FP16, *DOUBLES)], ids=["bf16", "fp16"])
@pytest.mark.parametrize("averaging", ["always", "two_tailed"])
def test_averaging_resumes_bitwise(data_bin, tmp_path, flags, averaging):
    """With fp16 the iterate and the average are float32, and the model holds rounded copies."""
    regime = (
        "--optimizer", "nt_asgd", "--lr", "4", "--averaging", averaging, "--max-update", "90",
        "--no-epoch-checkpoints", "--save-interval-updates", "30", *flags,
    )  # fmt: skip
    train(data_bin, tmp_path / "whole", *regime)
    killed = tmp_path / "killed"
    kill_after(
        [Run("train", data_bin, "--arch", "awd_lstm_ptb", *TINY, "--save-dir", killed, *regime)],
        killed / "checkpoint_1_60.pt",
    )
    train(data_bin, killed, *regime)
    assert same_weights(tmp_path / "whole" / LAST, killed / LAST)
    assert same_optimizer(tmp_path / "whole" / LAST, killed / LAST)
    state = optimizer_state(killed / LAST)
    assert {iterate.dtype for iterate in state["iterates"]} == {torch.float32}
    assert state.get("loss_scale") == optimizer_state(tmp_path / "whole" / LAST).get("loss_scale")


def half_precision(path):
    """Return the float32 weights in a checkpoint, and the counters and the value of its loss scale."""
    checkpoint = load(path)
    saved = checkpoint["extra_state"]["RecurrentLanguageModelingTask"]["half_precision"]
    return saved["weights"], saved["loss_scale"], checkpoint["last_optimizer_state"]["loss_scale"]


def test_fp16_without_an_average_resumes_bitwise(data_bin, tmp_path):
    """Only the optimizer has the float32 weights; --reset-optimizer starts from the rounded ones."""
    flags = (
        "--optimizer", "torch_adam", "--lr", "0.02", "--max-update", "60", "--save-interval-updates", "40",
        *FP16, *DOUBLES,
    )  # fmt: skip
    whole, resumed, reset = (tmp_path / name for name in ("whole", "resumed", "reset"))
    train(data_bin, whole, *flags)
    for folder in (resumed, reset):
        folder.mkdir()
        shutil.copy(whole / "checkpoint_1_40.pt", folder / LAST)
    train(data_bin, resumed, *flags)
    assert same_weights(whole / LAST, resumed / LAST)
    (weights, *scale), (again, *scale_again) = half_precision(whole / LAST), half_precision(resumed / LAST)
    assert all(map(torch.equal, weights, again)) and {w.dtype for w in weights} == {torch.float32}
    assert any(not torch.equal(w, w.half().float()) for w in weights), "nothing was rounded"
    assert scale == scale_again and scale[1] == 16, "it has doubled twice"
    flags += ("--max-update", "1", "--reset-optimizer")
    train(data_bin, reset, *flags)
    assert half_precision(reset / LAST)[1]["_iter"] == 1, "a new scaler"
    train(data_bin, reset, *flags, "--no-save-optimizer-state")
    assert "half_precision" not in load(reset / LAST)["extra_state"]["RecurrentLanguageModelingTask"]


def test_an_overflow_on_the_cpu_is_explained(data_bin, tmp_path):
    """fairseq continues after it only where there is a GPU."""
    finished = train(
        data_bin, tmp_path, "--max-update", "20", "--fp16", "--fp16-init-scale", "1000000000", succeeds=False
    )
    assert "overflowed float16" in finished.error() and "--fp16-init-scale" in finished.error()
    assert sentence(OverflowError("setting loss scale")) is None, "only where fairseq could not continue"
