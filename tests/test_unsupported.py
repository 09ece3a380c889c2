"""fairseq's options that cannot work here are refused in one sentence before anything is built."""

import pytest
import torch

from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.unsupported import REASONS

TRAIN = ["fairseq-train", "data", "--arch", "awd_lstm_ptb"]
ON_CPU = [*TRAIN, "--cpu"]


@pytest.mark.parametrize("refused", REASONS, ids=str)
def test_options_that_do_not_work(refused):
    flag, value = (refused, "2") if isinstance(refused, str) else refused
    with pytest.raises(Refused, match=f"^{flag} "):
        complete([*TRAIN, flag, value])


@pytest.mark.parametrize(
    "flags, sentence",
    [
        (("--model-parallel-size", "2"), "--model-parallel-size 2 trains and saves parts"),
        (("--optimizer-overrides", "x"), "--optimizer-overrides is x: give a dictionary"),
        (("--optimizer-overrides", "[1]"), "give a dictionary"),
        (("--log-file", "/nowhere/x.log"), "--log-file /nowhere/x.log cannot be written"),
        (("--lr-scheduler", "polynomial_decay"), "polynomial_decay needs --total-num-update: give it"),
        (("--lr-scheduler", "triangular"), "triangular needs --max-lr: give it"),
        (("--optimizer", "adam", "--lr", "1", "--adam-betas", "(0.9,)"), "give two numbers"),
        (("--optimizer", "torch_adam", "--lr", "1", "--adam-betas", "0.9"), "give two numbers"),
        (("--averaging-decay", "0.9"), "--averaging-decay has no effect without --averaging ema"),
        (("--num-workers", "2"), "--num-workers 2 has no effect"),
        (("--patience", "3", "--disable-validation"), "--patience has no effect"),
        (("--distributed-init-method", "tcp://localhost:1"), "starts processes only on GPUs"),
        (("--distributed-rank", "1"), "starts processes only on GPUs"),
        (("--profile",), "--profile needs a GPU"),
    ],
)
def test_a_sentence(flags, sentence):
    with pytest.raises(Refused, match=sentence.replace("(", r"\(")):
        complete([*ON_CPU, *flags], {})


def test_what_works_is_accepted(tmp_path):
    flags = ("--optimizer-overrides", "{'lr': 1}", "--log-file", str(tmp_path / "x.log"))
    flags += ("--ddp-backend", "legacy_ddp", "--zero-sharding", "none", "--model-parallel-size", "1")
    flags += ("--optimizer", "adam", "--lr", "1", "--adam-betas", "(0.9, 0.98)", "--distributed-rank", "0")
    flags += ("--num-workers", "0")
    assert set(flags) <= {*complete([*ON_CPU, *flags], {})}
    complete(["fairseq-train", "data", "--arch", "lstm_gbw_2x250", "--cpu", "--disable-validation"], {})
    connected = ("--distributed-init-method", "env://", "--distributed-no-spawn")
    complete([*ON_CPU, *connected], {})
    if torch.cuda.is_available():
        complete([*TRAIN, "--distributed-init-method", "env://", "--profile"], {})
