"""Which errors are explained in one sentence, and which keep their traceback."""

import errno
import math
import re
from types import SimpleNamespace

import pytest
import torch
from fairseq.checkpoint_utils import load_checkpoint_to_cpu
from fairseq.distributed import utils as distributed_utils
from fairseq.trainer import Trainer
from torch.multiprocessing.spawn import ProcessRaisedException

from lm_plugins.errors import Refused
from lm_plugins.excepthook import excepthook
from lm_plugins.explanations import sentence
from tests.helpers.plugin import write_plugin
from tests.helpers.refusals import refused
from tests.helpers.runner import train


def caught(function, *arguments):
    try:
        function(*arguments)
    except Exception as error:
        return error


def test_a_refusal_is_its_own_sentence_also_as_the_cause_of_another_error():
    def wrapped():
        try:
            raise Refused("give --batch-size")
        except Refused as cause:
            raise RuntimeError("worker 3 died") from cause

    assert sentence(Refused("give --batch-size")) == "give --batch-size"
    assert sentence(caught(wrapped)) == "give --batch-size"


def test_a_checkpoint_that_fairseq_cannot_read_is_named(tmp_path):
    cut = tmp_path / "checkpoint3.pt"
    cut.write_bytes(b"PK\3\4")
    error = caught(load_checkpoint_to_cpu, str(cut))
    assert str(cut) in sentence(error) and "cut short" in sentence(error)
    assert sentence(type(error)(*error.args)) is None, "not raised while one was read"


def test_other_known_ends():
    assert "--lr" in sentence(FloatingPointError("Minimum loss scale reached"))
    assert "give the path" in sentence(OSError("Model file not found: x.pt"))
    denied = sentence(PermissionError(errno.EACCES, "Permission denied", "save/.lock"))
    assert denied.startswith("save/.lock cannot be read or written by this user (Permission denied): change")


@pytest.mark.parametrize(
    "other, phrase",
    [
        (math.nan, "training stopped, gradients are Nan/Inf: the loss or its gradient is no longer"),
        (0.25, "the gradients of the processes differ (norms 0.50000000, 0.25000000)"),
    ],
)
def test_gradients_that_are_not_finite_are_told_from_those_that_differ(other, phrase, monkeypatch):
    """fairseq calls both inconsistent where several GPUs train."""
    norms = torch.zeros(2, dtype=torch.double)
    trainer = SimpleNamespace(
        _grad_norm_buf=norms, data_parallel_rank=0, data_parallel_process_group=None,
        cfg=SimpleNamespace(common=SimpleNamespace(amp=False)),
    )  # fmt: skip
    own = 0.5 if math.isfinite(other) else math.nan
    monkeypatch.setattr(distributed_utils, "all_reduce", lambda buffer, group: buffer[1:].fill_(other))
    error = caught(Trainer._check_grad_norms, trainer, torch.tensor(own))
    assert isinstance(error, FloatingPointError) and "inconsistent between workers" in str(error)
    trace = f"\n\n-- Process 1 terminated:\nTraceback (...):\n  File\nFloatingPointError: {error}\n"
    for text in (sentence(error), sentence(ProcessRaisedException(trace, 1, 123))):
        assert phrase in text and "\n" not in text and "no checkpoint was replaced" in text


def test_unknown_errors_keep_their_traceback(capsys):
    shown = []
    error = caught(lambda: [][0])
    excepthook(type(error), error, error.__traceback__, default=lambda *args: shown.append(args))
    assert shown == [(IndexError, error, error.__traceback__)]
    excepthook(Refused, Refused("no"), None)
    assert capsys.readouterr().err == "lm_plugins: error: no\n"


def test_an_error_about_an_optimizer_is_a_sentence_but_not_one_in_a_plugin(data_bin, tmp_path):
    source = """
from fairseq.optim import FairseqOptimizer, register_optimizer

@register_optimizer("broken")
class Broken(FairseqOptimizer):
    def __init__(self, args, params):
        raise ValueError("a mistake of ours")
"""
    plugin = ("--user-dir", write_plugin(tmp_path, source))
    finished = train(data_bin, tmp_path / "run", *plugin, "--optimizer", "broken", succeeds=False)
    assert finished.error() == "ValueError: a mistake of ours" and "in __init__" in finished.output
    refused(
        train(data_bin, tmp_path / "run", "--optimizer", "cpu_adam", succeeds=False),
        "fairseq does not accept these flags: Please install DeepSpeed",
    )


@pytest.mark.parametrize(
    "flags, failed",
    [
        (("inverse_sqrt", "--warmup-updates", "0"), "division by zero in self.lr_step = .*warmup_updates$"),
        (("step", "--lr", "1", "--min-lr", "2"), "assert self.max_lr > self.min_lr$"),
    ],
)
def test_a_check_of_a_schedule_without_a_message_is_shown(flags, failed, data_bin, tmp_path):
    finished = train(data_bin, tmp_path, "--lr-scheduler", *flags, succeeds=False)
    refused(finished, "fairseq does not accept these flags")
    assert re.search(failed, finished.error())
