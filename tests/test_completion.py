"""The command line is completed with what the user did not type, and only where it is ours."""

import logging
import math
import shlex
import shutil
import subprocess

import pytest
import torch
from fairseq.dataclass.configs import FairseqConfig
from fairseq.distributed.utils import infer_init_method
from omegaconf import OmegaConf

from lm_plugins.architectures import ARCHITECTURES, small
from lm_plugins.architectures.one_cycle import training_tokens
from lm_plugins.command_line import typed_flags
from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.process_flags import process_count
from preprocess.binarize import tokens_of as read_tokens

TRAIN = ["/usr/bin/fairseq-train", "data", "--user-dir", "lm_plugins"]


def completed(*argv, **environ):
    """{flag: value} of the completed command."""
    return typed_flags(complete([*argv], environ)[1:])


def test_the_three_commands_of_the_readme():
    flags = completed(*TRAIN, "--arch", "qrnn_wt103")
    assert flags["--task"] == "recurrent_language_modeling"
    assert flags["--criterion"] == "adaptive_softmax"
    assert (flags["--optimizer"], flags["--batch-size"], flags["--tokens-per-sample"]) == (
        "torch_adam",
        "60",
        "140",
    )
    assert (flags["--lr-scheduler"], flags["--lr"], flags["--milestones"]) == ("multi_step", "0.001", "12")
    assert completed("fairseq-eval-lm", "data", "--path", "x")["--task"] == "recurrent_language_modeling"
    assert completed("fairseq-validate", "data", "--path", "x")["--batch-size"] == "1"


@pytest.mark.parametrize("program", ["/a/b/fairseq-train", "/site-packages/fairseq_cli/train.py"])
def test_programs_are_known_however_they_are_started(program):
    assert "--task" in completed(program, "data", "--arch", "qrnn_ptb")


@pytest.mark.parametrize(
    "typed",
    [
        ("--lr", "7"),
        ("--lr=7",),
        ("--batch-size", "3"),
        ("--max-sentences", "3"),  # fairseq's other name of --batch-size
        ("--task", "recurrent_language_modeling"),
        ("--clip-norm", "0.0"),  # fairseq's own default
    ],
)
def test_what_is_typed_wins(typed):
    argv = complete([*TRAIN, "-a", "qrnn_ptb", *typed], {})
    flags = typed_flags(typed)
    assert {key: typed_flags(argv[1:])[key] for key in flags} == flags
    added = argv[len(TRAIN) + 2 + len(typed) :]
    assert not set(added) & set(flags)


@pytest.mark.parametrize(
    "argv",
    [
        ("pytest", "--arch", "qrnn_ptb"),
        ("fairseq-preprocess", "--trainpref", "x"),
        ("fairseq-hydra-train", "--config-name", "x"),
        (*TRAIN, "--arch", "transformer_lm"),
        (*TRAIN,),
        ("fairseq-eval-lm", "data", "--task", "language_modeling"),
    ],
)
def test_other_programs_tasks_and_architectures_are_left_alone(argv):
    assert complete([*argv], {}) == [*argv]


@pytest.mark.parametrize("environ", [{}, {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}])
@pytest.mark.parametrize("arch", ["lstm_wt103", "lstm_gbw_2x250", "awd_lstm_mos_ptb", "qrnn_wt103"])
def test_doing_it_twice_changes_nothing(arch, environ):
    once = complete([*TRAIN, "--arch", arch], environ)
    assert complete(once, environ) == once


@pytest.mark.parametrize("layer, criterion", [("mos", "mos"), ("softmax", "lm_cross_entropy")])
def test_options_of_nce_are_left_out_with_another_output_layer(layer, criterion):
    for arch in ("lstm_wt103", "lstm_gbw_2x250"):
        flags = completed(*TRAIN, "--arch", arch, "--output-layer", layer)
        assert flags["--criterion"] == criterion
        assert not [flag for flag in flags if flag.startswith("--nce-")]
    sampled = completed(*TRAIN, "--arch", "lstm_gbw_2x250", "--nce-loss", "sampled_softmax")
    assert "--nce-z" not in sampled and "--nce-k" in sampled


def test_flags_of_another_choice_are_left_out():
    base = completed(*TRAIN, "--arch", "qrnn_ptb")
    assert {"--ar-alpha", "--tar-beta"} <= set(base)
    other = completed(*TRAIN, "--arch", "qrnn_ptb", "--criterion", "cross_entropy")
    assert not {"--ar-alpha", "--tar-beta"} & set(other)
    ours = completed(*TRAIN, "--arch", "qrnn_ptb", "--criterion", "mos")
    assert {"--ar-alpha", "--tar-beta"} <= set(ours)
    scheduled = completed(*TRAIN, "--arch", "lstm_small", "--lr-scheduler", "cosine", "--max-update", "9")
    assert not {"--force-anneal", "--lr-shrink"} & set(scheduled) and scheduled["--lr"] == "20"
    with pytest.raises(Refused, match="with --optimizer adam also give --lr"):
        completed(*TRAIN, "--arch", "qrnn_ptb", "--optimizer", "adam")
    chosen = completed(*TRAIN, "--arch", "qrnn_ptb", "--optimizer", "adam", "--lr", "0.001")
    assert (chosen["--optimizer"], chosen["--lr"]) == ("adam", "0.001")


@pytest.mark.parametrize(
    "arch, typed, criterion, layer",
    [
        ("qrnn_ptb", ("--criterion", "mos"), "mos", "mos"),
        ("qrnn_ptb", ("--output-layer", "adaptive_softmax"), "adaptive_softmax", "adaptive_softmax"),
        ("qrnn_ptb", ("--criterion", "lm_cross_entropy", "--output-layer", "mos"), "lm_cross_entropy", "mos"),
        ("qrnn_wt103", ("--output-layer", "softmax"), "lm_cross_entropy", "softmax"),
        ("qrnn_wt103", ("--criterion", "nce"), "nce", "softmax"),
        ("awd_lstm_mos_ptb", (), "mos", "mos"),
        ("awd_lstm_ptb", (), "lm_cross_entropy", None),
    ],
)
def test_criterion_and_output_layer_set_each_other(arch, typed, criterion, layer):
    flags = completed(*TRAIN, "--arch", arch, *typed)
    assert (flags["--criterion"], flags.get("--output-layer")) == (criterion, layer)


@pytest.mark.parametrize(
    "arch, typed, start",
    [
        ("lstm_gbw_2x250", (), "uniform"),
        ("lstm_gbw_2x250", ("--criterion", "lm_cross_entropy"), None),
        ("qrnn_ptb", ("--criterion", "nce"), "uniform"),
        ("qrnn_ptb", ("--criterion", "nce", "--output-bias-init", "zero"), "zero"),
        ("qrnn_ptb", (), None),
    ],
)
def test_nce_starts_from_probabilities(arch, typed, start):
    assert completed(*TRAIN, "--arch", arch, *typed).get("--output-bias-init") == start


def test_the_weight_decay_of_fairseqs_adam_is_said_to_be_decoupled(caplog):
    adam = ("--arch", "awd_lstm_enwik8", "--optimizer", "adam", "--lr", "1e-3")
    complete([*TRAIN, *adam], {})
    complete([*TRAIN, "--arch", "awd_lstm_enwik8"], {})
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    complete([*TRAIN, *adam, "--weight-decay", "1e-6"], {})
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert "of --optimizer adam is decoupled" in warning and "torch_adam" in warning


@pytest.mark.parametrize("world, streams", [("1", "20"), ("2", "10"), ("4", "5"), ("8", "3")])
def test_the_published_streams_are_shared_out(world, streams):
    environ = {"WORLD_SIZE": world, "RANK": "0", "LOCAL_RANK": "0"}
    assert completed(*TRAIN, "--arch", "qrnn_ptb", **environ)["--batch-size"] == streams
    typed = completed(*TRAIN, "--arch", "qrnn_ptb", "--batch-size", "7", **environ)
    assert typed["--batch-size"] == "7"


def test_the_streams_of_validation_are_shared_out(data_bin):
    """Their number changes the validation loss, as each stream starts from zeros."""
    argv = ("fairseq-train", str(data_bin), "--arch", "qrnn_small")
    environ = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    assert [completed(*argv, **e)["--batch-size-valid"] for e in ({}, environ)] == ["8", "4"]
    typed = completed(*argv, "--batch-size-valid", "3", **environ)
    assert typed["--batch-size-valid"] == "3"


def test_options_from_the_environment_lose_against_the_command_line():
    environ = {"LM_PLUGINS_ADDOPTS": "--decoder-layers 3 --lr 2 --rotate-streams"}
    flags = completed(*TRAIN, "--arch", "qrnn_ptb", "--lr", "7", **environ)
    assert (flags["--decoder-layers"], flags["--lr"], flags["--rotate-streams"]) == ("3", "7", None)
    assert "--rotate-streams" not in completed(*TRAIN, "--arch", "qrnn_ptb", "--no-rotate-streams", **environ)
    argv = complete([*TRAIN, "--arch", "qrnn_ptb"], environ)
    assert complete(argv, environ) == argv
    assert complete(["fairseq-eval-lm", "data", "--path", "x"], environ)[4:] == [
        "--task",
        "recurrent_language_modeling",
    ]


def test_no_preset_fills_the_disk_with_a_checkpoint_an_epoch():
    for arch in ARCHITECTURES:
        assert "--no-epoch-checkpoints" in completed(*TRAIN, "--arch", arch)
    assert "--no-epoch-checkpoints" not in completed(*TRAIN, "--arch", "qrnn_ptb", "--keep-last-epochs", "3")


def test_sentences_are_not_rotated(data_bin):
    argv = ["fairseq-train", str(data_bin), "--arch", "qrnn_small"]
    assert "--rotate-streams" in completed(*argv)
    assert "--rotate-streams" not in completed(*argv, "--sample-break-mode", "eos")


def test_one_cycle_is_as_long_as_its_epochs(data_bin, tmp_path):
    tokens = training_tokens([str(data_bin)])
    assert tokens == len(read_tokens(data_bin, "train")[0])
    parts = shutil.copytree(data_bin, tmp_path / "parts")
    for kind in ("bin", "idx"):
        shutil.copy(data_bin / f"train.{kind}", parts / f"train1.{kind}")
    assert training_tokens([str(parts)]) == 2 * tokens, "fairseq-train reads both parts"
    argv = ["fairseq-train", str(data_bin), "--arch", "qrnn_ptb", "--regime", "short"]

    def updates(*typed, **environ):
        return int(completed(*argv, *typed, **environ)["--max-update"])

    windows = math.ceil(math.ceil(tokens / 20) / 67.75)
    assert updates() == updates("--tokens-per-sample", "70") == 60 * windows
    assert updates("--max-epoch", "7") == 7 * windows
    assert updates("--max-epoch", "7", "--update-freq", "2") == 7 * math.ceil(windows / 2)
    assert updates("--batch-size", "4") == 60 * math.ceil(math.ceil(tokens / 4) / 67.75)
    eight = updates(WORLD_SIZE="8", RANK="0", LOCAL_RANK="0")  # of 3 streams each
    assert eight == 60 * math.ceil(math.ceil(tokens / 24) / 67.75), "the cycle ends by --max-epoch"
    assert updates("--batch-size", "4", WORLD_SIZE="2", RANK="0", LOCAL_RANK="0") == 60 * math.ceil(
        math.ceil(tokens / 8) / 67.75
    )
    assert updates("--max-update", "100") == 100
    flags = completed(*argv, "--max-update", "100", "--lr", "0.01")
    assert (flags["--warmup-updates"], flags["--min-lr"], flags["--lr-scheduler"]) == (
        "10",
        "1e-05",
        "cosine",
    )
    assert [completed(*argv, "--max-update", count)["--warmup-updates"] for count in "123"] == ["0", "1", "1"]
    assert {"--nonmono", "--averaging"}.isdisjoint(flags)
    for typed in ((), ("--max-update", "100"), ("--max-update", str(90 * windows + 1))):
        once = complete([*argv, *typed], {})
        assert complete(once, {}) == once
    assert once[once.index("--max-epoch") + 1] == "91", "or it would end in the middle of the cycle"
    with pytest.raises(Refused, match="--max-epoch 7 ends the training after about .* leave one out"):
        completed(*argv, "--max-epoch", "7", "--max-update", str(7 * windows + 1))
    with pytest.raises(Refused, match="needs an end"):
        completed(*argv, "--max-epoch", "0")
    completed(*argv, "--max-epoch", "0", "--lr-scheduler", "fixed")  # has no cycle
    with pytest.raises(Refused, match="has no subset 'trained'"):
        completed(*argv, "--train-subset", "trained")
    assert "--max-update" in completed(*TRAIN, "--arch", "qrnn_ptb", "--regime", "short"), "as of 1 MB"
    with pytest.raises(Refused, match="awd_lstm_wt2 has no --regime short.*qrnn_ptb"):
        completed(*TRAIN, "--arch", "awd_lstm_wt2", "--regime", "short")


@pytest.mark.parametrize(
    "tokens, epochs, window, dropout",
    [(50_000, 16, 35, 0.4), (250_000, 8, 35, 0.2), (1_000_000, 4, 70, 0.1), (100_000_000, 2, 70, 0.05)],
)
def test_the_training_of_a_small_model_fits_its_text(tokens, epochs, window, dropout):
    flags = small.training({}, tokens, 1)
    assert (int(flags["--max-epoch"]), int(flags["--tokens-per-sample"])) == (epochs, window)
    assert float(flags["--dropout"]) == dropout
    streams = int(flags["--batch-size"])
    assert streams == (20 if window == 70 else 10)
    assert int(flags["--max-update"]) == epochs * math.ceil(math.ceil(tokens / streams) / window)
    endless = {"--max-epoch": "0", "--max-update": "100"}
    assert float(small.training(endless, tokens, 1)["--dropout"]) == dropout
    longer = small.training({"--max-epoch": "32"}, tokens, 1)
    assert float(longer["--dropout"]) == 0.4 and int(longer["--max-update"]) * epochs == 32 * int(
        flags["--max-update"]
    )


@pytest.mark.parametrize(
    "flags, needed",
    [
        (("lstm_medium", "--n-experts", "15"), "mos"),
        (("awd_lstm_mos_ptb", "--output-layer", "softmax", "--latent-dropout", "0"), "mos"),
        (("awd_lstm_mos_ptb", "--criterion", "nce", "--n-experts", "3"), "mos"),
        (("qrnn_ptb", "--adaptive-softmax-cutoff", "2000"), "adaptive_softmax"),
    ],
)
def test_options_of_another_output_layer_are_refused(flags, needed):
    """Otherwise a softmax would be trained instead of the intended mixture."""
    with pytest.raises(Refused, match=f"{flags[-2]} has no effect .* give --output-layer {needed}"):
        completed(*TRAIN, "--arch", *flags)


@pytest.mark.parametrize(
    "flags",
    [
        ("awd_lstm_mos_ptb", "--n-experts", "3", "--criterion", "lm_cross_entropy"),
        ("lstm_medium", "--criterion", "mos", "--n-experts", "3"),
        ("qrnn_wt103", "--adaptive-softmax-cutoff", "2000"),
        ("qrnn_ptb", "--output-layer", "of_a_plug_in", "--n-experts", "3"),
    ],
)
def test_options_of_the_chosen_output_layer_are_kept(flags):
    completed(*TRAIN, "--arch", *flags)


LARGE = {"--sparse-embedding-grad", "--split-vocabulary"}


@pytest.mark.parametrize("typed", [("--optimizer", "adam", "--lr", ".1"), ("--output-layer", "mos")])
def test_large_tables_are_left_out_where_they_do_not_fit(typed):
    assert LARGE <= set(completed(*TRAIN, "--arch", "lstm_gbw_2x250"))
    assert not LARGE & set(completed(*TRAIN, "--arch", "lstm_gbw_2x250", *typed))


def test_a_boolean_option_of_an_architecture_can_be_switched_off():
    flags = completed(*TRAIN, "--arch", "lstm_gbw_2x250", "--no-split-vocabulary")
    assert "--split-vocabulary" not in flags and "--sparse-embedding-grad" in flags


def test_fine_tuning_is_one_flag():
    flags = completed(*TRAIN, "--arch", "qrnn_ptb", "--finetune-from-model", "x.pt")
    assert (flags["--averaging"], flags["--seed"], flags["--max-epoch"]) == ("always", "404", "300")
    typed = completed(
        *TRAIN, "--arch", "qrnn_ptb", "--finetune-from-model", "x.pt", "--averaging", "triggered"
    )
    assert typed["--averaging"] == "triggered"
    adam = completed(*TRAIN, "--arch", "qrnn_wt103", "--finetune-from-model", "x.pt")
    assert "--averaging" not in adam


def test_half_precision_on_a_cpu_is_not_flattened():
    """fairseq flattens on the current GPU, and a CPU has none."""
    assert "--fp16-no-flatten-grads" in completed(*TRAIN, "--arch", "qrnn_ptb", "--cpu", "--fp16")
    assert "--fp16-no-flatten-grads" not in completed(*TRAIN, "--arch", "qrnn_ptb", "--cpu")


def test_fairseq_is_told_about_torchrun():
    environ = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}
    flags = completed(*TRAIN, "--arch", "qrnn_ptb", "--cpu", **environ)
    assert flags["--distributed-world-size"] == "4"
    assert (flags["--distributed-rank"], flags["--device-id"]) == ("3", "1")
    assert flags["--distributed-init-method"] == "env://"
    assert "--distributed-no-spawn" in flags
    assert (flags["--distributed-backend"], flags["--ddp-backend"]) == ("gloo", "legacy_ddp")
    assert "--distributed-rank" not in completed(*TRAIN, "--arch", "qrnn_ptb", WORLD_SIZE="1")


def test_the_printed_command_of_a_process_can_be_repeated_by_torchrun(caplog):
    """Its first process prints it; --distributed-rank 0 of all processes would make them wait forever."""
    caplog.set_level(logging.INFO)
    first, second = ({"WORLD_SIZE": "2", "RANK": rank, "LOCAL_RANK": rank} for rank in "01")
    argv = complete([*TRAIN, "--arch", "qrnn_ptb", "--cpu"], first)
    messages = [record.getMessage() for record in caplog.records]
    (printed,) = [shlex.split(m.split(": ", 1)[1]) for m in messages if m.startswith("completed command")]
    assert typed_flags(complete(printed, first)) == typed_flags(argv)
    assert typed_flags(complete(printed, second)) == {
        **typed_flags(argv), "--distributed-rank": "1", "--device-id": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    "flags, environ",
    [
        ((), {"SLURM_NTASKS": "2"}),
        (("--distributed-world-size", "3"), {"SLURM_NTASKS_PER_NODE": "1"}),
        (("--distributed-world-size", "8"), {"SLURM_NTASKS": "8"}),
        (("--distributed-world-size", "1"), {"SLURM_NTASKS": "2"}),
    ],
)
def test_the_processes_that_fairseq_starts_in_a_slurm_job_are_counted(flags, environ, monkeypatch):
    """The published streams are divided by their number."""
    environ = {"SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "a,b", "SLURM_NODEID": "1", "SLURM_LOCALID": "0",
               "SLURM_PROCID": "0", **environ}  # fmt: skip
    typed = typed_flags(["--distributed-port", "9218", *flags])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.setattr(subprocess, "check_output", lambda command: b"a\nb\n")
    for name in ("MASTER_ADDR", "SLURM_NTASKS", "SLURM_NTASKS_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    world = int(typed.get("--distributed-world-size") or 4)
    cfg = OmegaConf.structured(FairseqConfig()).distributed_training
    cfg.distributed_world_size, cfg.distributed_port = world, 9218
    infer_init_method(cfg)
    assert process_count(typed, environ) == cfg.distributed_world_size


@pytest.mark.parametrize(
    "flags, environ, part",
    [
        (("--distributed-rank", "0"), {}, "--distributed-rank is 0"),
        (("--distributed-world-size", "4"), {}, "torchrun says 2"),
        (("--device-id", "0"), {}, "leave it out"),
        (("--ddp-backend", "pytorch_ddp"), {}, "--ddp-backend pytorch_ddp trains only on GPUs"),
        (("--distributed-backend", "nccl"), {}, "only on GPUs"),
        (("--ddp-comm-hook", "fp16"), {}, "has no effect with --ddp-backend legacy_ddp"),
        ((), {"LOCAL_RANK": None}, "no LOCAL_RANK: start 2 processes with torchrun"),
        ((), {"LOCAL_RANK": None, "RANK": None}, "no RANK and no LOCAL_RANK"),
    ],
)
def test_processes_of_torchrun_that_could_not_train_together_are_refused(flags, environ, part):
    environ = {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1", **environ}
    environ = {name: value for name, value in environ.items() if value is not None}
    with pytest.raises(Refused, match=part):
        complete([*TRAIN, "--arch", "qrnn_ptb", "--cpu", *flags], environ)


def test_the_completed_command_is_printed_once_and_can_be_repeated(caplog):
    caplog.set_level(logging.INFO)
    argv = complete([*TRAIN, "--arch", "lstm_wt103"], {})
    (message,) = [record.getMessage() for record in caplog.records if "completed" in record.getMessage()]
    assert message == "completed command: fairseq-train " + " ".join(argv[1:])
    caplog.clear()
    complete(argv, {})
    complete([*TRAIN, "--arch", "lstm_wt103"], {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"})
    assert not caplog.records
