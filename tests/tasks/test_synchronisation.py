"""A training step waits for the GPU in few places only, which is observed on a CPU."""

import sys
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.helpers.runner import PLUGIN
from tests.helpers.tasks import training

NCE = (
    "--criterion", "nce", "--nce-k", "5", "--no-share-decoder-input-output-embed", "--weight-decay", "0",
)  # fmt: skip
ADAPTIVE = ("--criterion", "adaptive_softmax", "--adaptive-softmax-cutoff", "20,50")
UNTIED = ("--no-share-decoder-input-output-embed", "--adaptive-softmax-factor", "2")
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "bincount", "repeat_interleave.Tensor")
ON_A_CPU = {"ops/linear_cross_entropy", "ops/dropout"}  # packages that take another way on a GPU
COPIES = ("lift_fresh",)  # torch.tensor(numbers, device=...), which waits for the copy


class Waits(TorchDispatchMode):
    """Record the files of lm_plugins that ask for the values of tensors."""

    def __init__(self):
        super().__init__()
        self.files = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name, masked = str(function).removeprefix("aten."), False
        if name.startswith(("index.", "index_put", "_index_put")):
            masked = any(index is not None and index.dtype == torch.bool for index in args[1])
        if masked or name.startswith((*WAITS, *COPIES)):
            self.record()
        return function(*args, **(kwargs or {}))

    def record(self):
        frame = sys._getframe()
        while not frame.f_code.co_filename.startswith(PLUGIN):
            frame = frame.f_back
        path = Path(frame.f_code.co_filename).relative_to(PLUGIN)
        if str(path.parent) not in ON_A_CPU:
            self.files.append(str(path))


@pytest.fixture
def waits(data_bin, monkeypatch):
    """A function that trains on two windows and returns the files in which the second one waited."""

    def train(arch, *flags):
        task, model, criterion, optimizer = training(data_bin, arch, *flags)
        mode = Waits()
        windows = task.get_batch_iterator(task.dataset("train"), max_sentences=4).next_epoch_itr()
        task.train_step(next(windows), model, criterion, optimizer, 0)  # makes the noise's tables
        task.optimizer_step(optimizer, model, 0)
        window = next(windows)
        with monkeypatch.context() as patch, mode:
            for name in ("tolist", "cpu"):  # which do not reach the dispatcher
                asked = getattr(torch.Tensor, name)
                patch.setattr(torch.Tensor, name, lambda x, asked=asked: mode.record() or asked(x))
            task.train_step(window, model, criterion, optimizer, 1)
            task.optimizer_step(optimizer, model, 1)
        return mode.files

    return train


@pytest.mark.parametrize(
    "arch, flags",
    [
        ("awd_lstm_ptb", ()),
        ("awd_lstm_ptb", ("--candidate-dropout", "0.2", "--sample-break-mode", "eos")),
        ("qrnn_ptb", ("--sample-break-mode", "eos")),
        ("qrnn_ptb", ("--optimizer", "nt_asgd", "--averaging", "always")),
        ("lstm_mos_bm", ("--decoder-last-size", "9")),
        ("awd_lstm_ptb", NCE),
        ("awd_lstm_ptb", (*NCE, "--nce-z", "estimated")),
        ("awd_lstm_ptb", (*NCE, "--nce-z", "learned", "--nce-row-noise", "--sparse-embedding-grad")),
        ("awd_lstm_ptb", (*NCE, "--nce-loss", "sampled_softmax", "--nce-noise", "log_uniform")),
    ],
)
def test_nothing_waits(waits, arch, flags):
    assert waits(arch, *flags) == []


@pytest.mark.parametrize("flags", [(), UNTIED], ids=["tied", "untied"])
def test_the_adaptive_softmax_counts_targets_on_the_host(waits, flags):
    """The counts are of a tensor on the CPU, which tests/gpu tells from one on a GPU."""
    assert set(waits("awd_lstm_ptb", *ADAPTIVE, *flags)) == {"modules/adaptive_softmax.py"}


def test_an_lstm_waits_for_the_layout_of_sentences(waits):
    """It is computed on the CPU, once for all layers: tests/models/test_recurrent_decoder.py."""
    assert set(waits("awd_lstm_ptb", "--sample-break-mode", "eos")) == {"ops/resets.py"}
