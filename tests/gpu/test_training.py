"""Training on a GPU: every tensor on its device, the losses of a CPU, and the waits of the host."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.gpu_runs import (
    ADAGRAD,
    ADAPTIVE,
    AVERAGED,
    BF16,
    DETERMINISTIC,
    FP16,
    GBW,
    MOS,
    NCE,
    SENTENCES,
    SMALL,
    UNTIED,
    OnGPU,
    Server,
    losses,
)

# Where the host waits in an update, other than in EVERY_UPDATE.
LAYOUT = {"copy to the CPU lm_plugins/ops/resets.py:layout": 1}
SPARSE = {"coalesce lm_plugins/optim/large_tables.py:multiply_grads": 3}

TRAININGS = {
    "lstm": ({}, "awd_lstm_ptb"),
    "lstm_bf16": ({}, "awd_lstm_ptb", *BF16),
    "lstm_fp16": ({}, "awd_lstm_ptb", *FP16),
    "qrnn": ({}, "qrnn_ptb"),
    "qrnn_bf16": ({}, "qrnn_ptb", *BF16),
    "qrnn_fp16": ({}, "qrnn_ptb", *FP16),
    "zoneout": ({}, "qrnn_ptb", "--zoneout", "0.1", "--dropout-mask", "step"),
    "adaptive": ({}, "qrnn_wt103", *ADAPTIVE),
    "adaptive_untied_bf16": ({}, "qrnn_wt103", *ADAPTIVE, *UNTIED, *BF16),
    "mos": ({}, "awd_lstm_mos_ptb", *MOS),
    "mos_bf16": ({}, "awd_lstm_mos_ptb", *MOS, *BF16),
    "nce": ({}, "awd_lstm_ptb", *NCE),
    "nce_rows": ({}, "qrnn_ptb", *NCE, "--nce-row-noise", "--nce-noise", "log_uniform"),
    "nce_learned_fp16": ({}, "qrnn_ptb", *NCE, "--nce-z", "learned", *FP16),
    "nce_estimated": ({}, "awd_lstm_ptb", *NCE, "--nce-z", "estimated", *BF16),
    "sampled": ({}, "qrnn_ptb", *NCE, "--nce-loss", "sampled_softmax"),
    "gbw": (LAYOUT | SPARSE, "lstm_gbw_2x250", *GBW),
    "gbw_adagrad": (LAYOUT | SPARSE, "lstm_gbw_2x250", *GBW, *ADAGRAD),
    "sentences": ({}, "qrnn_ptb", *SENTENCES),
    "sentences_lstm": (LAYOUT, "awd_lstm_ptb", *SENTENCES, *BF16),
    "averaged": ({}, "awd_lstm_ptb", *AVERAGED, "--update-freq", "2"),
    "averaged_fp16": ({}, "qrnn_ptb", *AVERAGED, *FP16),
    "adam": ({}, "qrnn_ptb", "--optimizer", "torch_adam", "--lr", "0.001"),
    "candidates": ({}, "awd_lstm_ptb", "--candidate-dropout", "0.1", "--tokens-per-sample", "5"),
}
# The norm of the gradients; the losses are copied before, and have arrived then.
EVERY_UPDATE = {"copy to the CPU lm_plugins/optim/host_norm.py:to_host": 1}
# Slower than it could be, on a GPU, but right.
KNOWN = ("a tensor on the GPU is pickled",)
# Kernels of an update without cuDNN's, as pretended_gpu/record.py counts them; these may only decrease.
MOST_KERNELS = {"qrnn": 150, "lstm": 110, "mos": 140, "adaptive": 195}


@pytest.mark.parametrize("name", TRAININGS)
def test_training_stays_on_the_gpu_and_waits_where_it_must(train: Callable[..., OnGPU], name: str) -> None:
    waits, arch, *flags = TRAININGS[name]
    finished = train(arch, *flags)
    assert "done training" in finished.output
    assert finished.update()["waits"] == EVERY_UPDATE | waits
    assert [fault for fault in finished.report["faults"] if not fault.startswith(KNOWN)] == []
    assert sum(finished.update()["kernels"].values()) <= MOST_KERNELS.get(name, float("inf"))


ALONE = ("--no-save", "--disable-validation")  # training alone
COMPARED = {
    "lstm": ("awd_lstm_ptb",),
    "qrnn": ("qrnn_ptb",),
    "mos": ("awd_lstm_mos_ptb", *MOS, "--latent-dropout", "0"),
    "adaptive": ("qrnn_wt103", *ADAPTIVE),
    "sentences": ("awd_lstm_ptb", *SENTENCES),
}


@pytest.mark.parametrize("name", COMPARED)
def test_losses_are_those_of_the_cpu(train: Callable[..., OnGPU], tmp_path: Path, name: str) -> None:
    on_gpu = losses(train(*COMPARED[name], *DETERMINISTIC, *ALONE))
    on_cpu = losses(train(*COMPARED[name], *DETERMINISTIC, *ALONE, "--cpu", "--save-dir", tmp_path / "cpu"))
    assert len(on_gpu) == 4 and on_gpu == pytest.approx(on_cpu, rel=2e-5)


@pytest.mark.parametrize("name", ["lstm", "qrnn", "mos"])
def test_replayed_graphs_give_the_losses_of_usual_steps(
    train: Callable[..., OnGPU], tmp_path: Path, name: str
) -> None:
    """Windows of two lengths; a replay launches a graph in place of the kernels of forward and backward."""
    flags = *COMPARED[name], *DETERMINISTIC, *ALONE, "--max-update", "8", "--bptt-variation", "1"
    usual = train(*flags)
    graphs = train(*flags, "--cuda-graphs", "--save-dir", tmp_path / "graphs")
    assert len(losses(graphs)) == 8 and losses(graphs) == pytest.approx(losses(usual), rel=1e-6)
    kernels = [sum(update["kernels"].values()) for update in graphs.report["updates"]]
    assert min(kernels) < sum(usual.update()["kernels"].values()) / 3
    assert graphs.update()["waits"] == EVERY_UPDATE
    assert graphs.report["faults"] == {}


def test_a_cpu_is_used_where_there_are_two_gpus(two_gpus: Server, data_bin: Path, tmp_path: Path) -> None:
    """fairseq would start two processes, and clip by a norm on the GPU."""
    run = two_gpus(
        "train", data_bin, "--arch", "qrnn_ptb", *SMALL, "--cpu", *ALONE, "--save-dir", tmp_path / "cpu"
    )
    assert "done training" in run.output
    assert run.report["kernels"] == {}


def test_the_peak_of_memory_survives_fairseqs_reset(train: Callable[..., OnGPU]) -> None:
    """A step needs 10 GiB and 1 GiB stays; fairseq resets the statistics after each update."""
    finished = train("qrnn_ptb", "--no-save", peak_gib=10)
    assert '"train_peak_gib": "10"' in finished.output
