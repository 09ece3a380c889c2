"""Resuming, several GPUs, evaluation and generation."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.checkpoints import same_weights
from tests.helpers.gpu_runs import (
    ADAPTIVE,
    AVERAGED,
    BF16,
    DETERMINISTIC,
    FP16,
    GBW,
    MOS,
    SMALL,
    OnGPU,
    Server,
    losses,
)
from tests.helpers.runner import PLUGIN, perplexity

RESUMED = {
    "averaged_fp16": ("qrnn_ptb", *AVERAGED, *FP16),
    "averaged_lstm": ("awd_lstm_ptb", *AVERAGED),
    "sparse": ("lstm_gbw_2x250", *GBW),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_run_ends_with_the_same_bits(
    train: Callable[..., OnGPU], tmp_path: Path, name: str
) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    train(*RESUMED[name], "--save-dir", whole)
    train(*RESUMED[name], "--save-dir", halves, "--max-update", "2")
    train(*RESUMED[name], "--save-dir", halves)
    assert same_weights(whole / "checkpoint_last.pt", halves / "checkpoint_last.pt")


@pytest.mark.parametrize("first, second", [((), ("--cpu",)), (("--cpu",), ())], ids=["to_cpu", "from_cpu"])
def test_a_run_changes_its_device(
    train: Callable[..., OnGPU], tmp_path: Path, first: tuple[str, ...], second: tuple[str, ...]
) -> None:
    whole = losses(train("qrnn_ptb", *DETERMINISTIC, "--save-dir", tmp_path / "whole"))
    halves = losses(train("qrnn_ptb", *DETERMINISTIC, *first, "--max-update", "2"))
    halves += losses(train("qrnn_ptb", *DETERMINISTIC, *second))
    assert halves == pytest.approx(whole, rel=2e-5)


@pytest.mark.parametrize("flags", [("qrnn_ptb",), ("lstm_gbw_2x250", *GBW)], ids=["qrnn", "split"])
def test_fairseq_trains_on_all_gpus_of_a_machine(
    two_gpus: Server, data_bin: Path, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    arch, *others = flags
    run = two_gpus(
        "train", data_bin, "--arch", arch, *SMALL, *DETERMINISTIC, *others, "--distributed-backend", "gloo",
        "--save-dir", tmp_path,
    )  # fmt: skip
    assert "distributed init (rank 1)" in run.output
    assert len(losses(run)) == 4 and all(map(math.isfinite, losses(run)))


EVALUATIONS = {
    "plain": (),
    "cache": ("--cache-window", "50", "--cache-theta", "0.5", "--cache-lambda", "0.1"),
    "streams": ("--eval-streams", "2", "--eval-warmup", "20"),
    "dynamic": ("--dynamic-evaluation", "sgd", "--dynamic-lr", "0.1", "--tokens-per-sample", "20"),
    "rms": ("--dynamic-evaluation", "rms", "--dynamic-batches", "3", "--tokens-per-sample", "20"),
}
MODELS = {
    "lstm": ("awd_lstm_ptb",),
    "qrnn": ("qrnn_ptb", *BF16),
    "mos": ("awd_lstm_mos_ptb", *MOS),
    "adaptive": ("qrnn_wt103", *ADAPTIVE),
}


@pytest.fixture(scope="module")
def checkpoints(
    gpu: Server, data_bin: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Return a function that trains one of MODELS on the GPU, once, and returns its checkpoint."""
    folder = tmp_path_factory.mktemp("models")

    def checkpoint(name: str) -> Path:
        path = folder / name / "checkpoint_last.pt"
        if not path.exists():
            gpu(
                "train",
                data_bin,
                "--arch",
                *MODELS[name][:1],
                *SMALL,
                *MODELS[name][1:],
                "--save-dir",
                path.parent,
            )
        return path

    return checkpoint


@pytest.mark.parametrize(
    "model, evaluation",
    [("lstm", "plain"), ("lstm", "cache"), ("lstm", "rms"), ("qrnn", "plain"), ("qrnn", "dynamic")]
    + [("mos", "streams"), ("adaptive", "cache")],
)
def test_an_evaluation_gives_the_perplexity_of_the_cpu(
    gpu: Server, data_bin: Path, checkpoints: Callable[[str], Path], model: str, evaluation: str
) -> None:
    command = (
        "eval-lm",
        data_bin,
        "--user-dir",
        PLUGIN,
        "--path",
        checkpoints(model),
        *EVALUATIONS[evaluation],
    )
    on_gpu = gpu(*command)
    assert perplexity(on_gpu) == pytest.approx(perplexity(gpu(*command, "--cpu")), rel=1e-4)
    assert on_gpu.report["kernels"]


def test_the_cache_is_tuned(
    gpu: Server, data_bin: Path, checkpoints: Callable[[str], Path], tmp_path: Path
) -> None:
    flags = "--gen-subset", "valid", "--cache-tune", tmp_path / "cache.json", "--cache-window", "50"
    gpu("eval-lm", data_bin, "--user-dir", PLUGIN, "--path", checkpoints("lstm"), *flags)
    assert (tmp_path / "cache.json").exists()


def test_texts_are_generated(gpu: Server, data_bin: Path, checkpoints: Callable[[str], Path]) -> None:
    flags = (
        "--gen-subset",
        "test",
        "--prefix-size",
        "3",
        "--max-len-b",
        "8",
        "--beam",
        "2",
        "--batch-size",
        "8",
    )
    run = gpu("generate", data_bin, "--user-dir", PLUGIN, "--path", checkpoints("qrnn"), *flags)
    assert "\nH-0\t" in run.output and run.report["kernels"]


def test_a_model_is_validated(gpu: Server, data_bin: Path, checkpoints: Callable[[str], Path]) -> None:
    run = gpu(
        "validate", data_bin, "--user-dir", PLUGIN, "--path", checkpoints("qrnn"), "--valid-subset", "test"
    )
    assert run.report["kernels"]
