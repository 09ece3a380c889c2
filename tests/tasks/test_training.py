"""Training through fairseq-train: against a plain loop, resumed, and in two processes."""

import os
import re
import signal
import subprocess
import sys

import pytest
import torch

from recipes.logs import logged
from tests.helpers.checkpoints import largest_difference, load, same_weights
from tests.helpers.kill import kill_after
from tests.helpers.plain_model import NO_DROPOUT, NO_REGULARISATION, PlainModel, plain_epoch, tokens_of
from tests.helpers.runner import PLUGIN, ROOT, TINY, Run, free_port, start_ranks, train, train_ranks


def test_equals_a_plain_torch_loop_over_two_epochs(data_bin, tmp_path):
    finished = train(data_bin, tmp_path, "--max-epoch", "3", *NO_DROPOUT, *NO_REGULARISATION)
    trained, valid = logged(finished.output, "train"), logged(finished.output, "valid")
    model = PlainModel(load(tmp_path / "checkpoint1.pt")["model"])
    optimizer = torch.optim.SGD(model.parameters(), lr=2)
    for epoch in (1, 2):
        loss = plain_epoch(model, tokens_of(data_bin, "train"), 4, 10, optimizer)
        assert float(trained[epoch]["train_loss"]) == pytest.approx(loss, abs=1e-5)
        with torch.no_grad():
            loss = plain_epoch(model, tokens_of(data_bin, "valid"), 4, 10)
        assert float(valid[epoch]["valid_loss"]) == pytest.approx(loss, abs=1e-5)
    weights = load(tmp_path / "checkpoint3.pt")["model"]
    torch.testing.assert_close(weights["decoder.embed_tokens.weight"], model.table.data, rtol=0, atol=1e-5)


def test_two_valid_subsets_have_their_own_states(data_bin, tmp_path):
    common = ("--max-epoch", "2", "--no-epoch-checkpoints")
    both = train(data_bin, tmp_path / "both", *common, "--valid-subset", "valid,test").output
    for subset in ("valid", "test"):
        alone = train(data_bin, tmp_path / subset, *common, "--valid-subset", subset).output
        key = f"{subset}_loss"
        assert [r[key] for r in logged(both, subset)] == [r[key] for r in logged(alone, subset)]
    assert same_weights(tmp_path / "both/checkpoint_last.pt", tmp_path / "test/checkpoint_last.pt")


REGIME = (
    "--max-epoch", "2", "--random-start", "--update-freq", "2", "--save-interval-updates", "27",
    "--keep-interval-updates", "2", "--no-epoch-checkpoints", "--validate-interval-updates", "27",
)  # fmt: skip


@pytest.mark.parametrize(
    "arch, flags",
    [
        ("awd_lstm_ptb", ()),
        ("awd_lstm_ptb", ("--memory-cells", "20")),
        ("awd_lstm_ptb", ("--layer-norm", "--candidate-dropout", "0.2")),
        ("awd_lstm_ptb", ("--lstm-rank", "3")),
        ("awd_gru", ()),
        ("cifg", ("--memory-cells", "20")),
        ("simple_rnn", ()),
        ("qrnn_ptb", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else "".join(value[:1]),
)
def test_a_killed_run_resumes_bitwise(data_bin, tmp_path, arch, flags):
    train(data_bin, tmp_path / "whole", *REGIME, *flags, arch=arch)
    killed = tmp_path / "killed"
    run = Run("train", data_bin, "--arch", arch, *TINY, "--save-dir", killed, *REGIME, *flags)
    kill_after([run], killed / "checkpoint_1_27.pt")
    assert run.process.exitcode == -signal.SIGKILL
    resumed = train(data_bin, killed, *REGIME, *flags, arch=arch)
    assert "Loaded checkpoint" in resumed.output
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", killed / "checkpoint_last.pt")


TWO_TAILED = ("--optimizer", "nt_asgd", "--averaging", "two_tailed")


def test_a_killed_two_tailed_run_resumes_bitwise(data_bin, tmp_path):
    often = ("--save-interval-updates", "9", "--validate-interval-updates", "9")  # each chooses an average
    flags = (*REGIME, *TWO_TAILED, *often)
    whole = train(data_bin, tmp_path / "whole", *flags)
    killed = tmp_path / "killed"
    run = Run("train", data_bin, "--arch", "awd_lstm_ptb", *TINY, "--save-dir", killed, *flags)
    kill_after([run], killed / "checkpoint_1_27.pt")
    resumed = train(data_bin, killed, *flags)
    assert "Loaded checkpoint" in resumed.output
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", killed / "checkpoint_last.pt")
    assert choices(whole.output)[-1] == choices(resumed.output)[-1]


def choices(output):
    """(losses of the iterate, the short and the long average, what is used, its loss as logged)."""
    pattern = r"short \(\d+ updates\) (\S+), long \(\d+ updates\) (\S+); of the iterate (\S+); using (.+)\n"
    chosen = [(float(i), float(s), float(g), used) for s, g, i, used in re.findall(pattern, output)]
    valid = [float(log["valid_loss"]) for log in logged(output, "valid")]
    return [(*losses, used, loss) for (*losses, used), loss in zip(chosen, valid, strict=True)]


def test_two_tailed_averaging_shows_the_best_of_three(data_bin, tmp_path):
    output = train(data_bin, tmp_path, "--max-epoch", "4", "--lr", "4", *TWO_TAILED).output
    for iterate, short, long, used, loss in choices(output):
        best = iterate if used == "the iterate" else min(short, long)
        assert loss == pytest.approx(best, abs=2e-3)
        assert best == min(iterate, short, long)
    assert any(used != "the iterate" for *_, used, _ in choices(output))
    last = load(tmp_path / "checkpoint_last.pt")["extra_state"]["val_loss"]
    assert last == pytest.approx(choices(output)[-1][-1], abs=1e-3)


def test_two_processes_average_alike(data_bin, tmp_path):
    common = ("--max-epoch", "3", "--lr", "4", *TWO_TAILED)
    alone = train(data_bin, tmp_path / "one", *common)
    finished = train_ranks(2, data_bin, tmp_path / "two", *common, "--batch-size", "2")
    assert [used for *_, used, _ in choices(alone.output)] == [
        used for *_, used, _ in choices(finished.output)
    ]
    assert largest_difference(tmp_path / "one/checkpoint_last.pt", tmp_path / "two/checkpoint_last.pt") < 1e-5


def test_two_killed_processes_resume_bitwise(data_bin, tmp_path):
    options = (*REGIME, "--batch-size", "2")
    train_ranks(2, data_bin, tmp_path / "whole", *options)
    killed = tmp_path / "killed"
    kill_after(start_ranks(2, data_bin, killed, *options), killed / "checkpoint_1_27.pt")
    states = load(killed / "checkpoint_last.pt")["extra_state"]
    assert len(states["RecurrentLanguageModelingTask"]["rank_states"]) == 2
    assert "Loaded checkpoint" in train_ranks(2, data_bin, killed, *options).output
    assert same_weights(tmp_path / "whole/checkpoint_last.pt", killed / "checkpoint_last.pt")


@pytest.mark.parametrize("arch", ["awd_lstm_ptb", "qrnn_ptb"])
def test_two_processes_train_like_one(data_bin, tmp_path, arch):
    """Dropout included: its masks do not depend on the number of processes."""
    options = ("--max-epoch", "2")
    one = train(data_bin, tmp_path / "one", *options, "--batch-size", "4", arch=arch)
    two = train_ranks(2, data_bin, tmp_path / "two", *options, "--batch-size", "2", arch=arch)
    paths = [tmp_path / name / "checkpoint_last.pt" for name in ("one", "two")]
    assert largest_difference(*paths) < 1e-5
    for tag in ("train", "valid"):
        for a, b in zip(logged(one.output, tag), logged(two.output, tag), strict=True):
            assert float(a[f"{tag}_loss"]) == pytest.approx(float(b[f"{tag}_loss"]), abs=1e-5)


def test_torchrun_as_typed(data_bin, tmp_path):
    program = os.path.join(os.path.dirname(sys.executable), "fairseq-train")
    if not os.path.exists(program):  # an interpreter whose fairseq is borrowed has no scripts
        program = os.path.join(os.path.dirname(sys.modules["fairseq"].__path__[0]), "fairseq_cli/train.py")
    done = subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
            "--master-port", free_port(), program, str(data_bin), "--arch", "awd_lstm_ptb", *TINY,
            "--batch-size", "2", "--max-epoch", "1", "--save-dir", str(tmp_path / "two"),
        ],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert (done.stdout + done.stderr).count("completed command: fairseq-train") == 1
    train(data_bin, tmp_path / "one", "--max-epoch", "1")
    paths = [tmp_path / name / "checkpoint_last.pt" for name in ("one", "two")]
    assert largest_difference(*paths) < 1e-5


def test_the_regularisation_is_logged_apart(data_bin, tmp_path):
    finished = train(data_bin, tmp_path, "--max-epoch", "1", "--ar-alpha", "2", "--tar-beta", "1")
    (trained,) = logged(finished.output, "train")
    (valid,) = logged(finished.output, "valid")
    assert float(trained["train_reg"]) > 0 and float(valid["valid_reg"]) == 0
    assert trained["train_loss"] == trained["train_nll_loss"]
    assert float(trained["train_ppl"]) == pytest.approx(2 ** float(trained["train_loss"]), rel=1e-4)
    assert "valid_bpc" not in valid


def test_validation_and_training_on_one_subset_do_not_mix(data_bin, tmp_path):
    common = ("--max-epoch", "2", "--no-epoch-checkpoints", "--validate-interval-updates", "47")
    train(data_bin, tmp_path / "valid", *common)
    train(data_bin, tmp_path / "train", *common, "--valid-subset", "train")
    assert same_weights(tmp_path / "valid/checkpoint_last.pt", tmp_path / "train/checkpoint_last.pt")


def test_hydra_train(data_bin, tmp_path):
    (tmp_path / "experiment.yaml").write_text(f"""
common: {{user_dir: {PLUGIN}, cpu: true, no_progress_bar: true, log_format: json, seed: 3}}
task:
  _name: recurrent_language_modeling
  data: {data_bin}
  tokens_per_sample: 10
  bptt_variation: 5
model: {{_name: qrnn_ptb, decoder_embed_dim: 12, decoder_hidden_size: 16, decoder_layers: 2}}
criterion: {{_name: lm_cross_entropy, ar_alpha: 2, tar_beta: 1}}
dataset: {{batch_size: 4, num_workers: 0}}
optimization: {{max_epoch: 2, lr: [2], clip_norm: 0.25}}
optimizer: {{_name: nt_asgd, weight_decay: 1.2e-6, averaging: always}}
lr_scheduler: {{_name: multi_step, milestones: [1]}}
checkpoint: {{save_dir: {tmp_path / "hydra"}}}
""")
    done = subprocess.run(
        [
            sys.executable, "-m", "fairseq_cli.hydra_train", "--config-dir", str(tmp_path),
            "--config-name", "experiment", f"hydra.run.dir={tmp_path / 'run'}",
        ],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    typed = (
        "--optimizer", "nt_asgd", "--weight-decay", "1.2e-6", "--averaging", "always", "--bptt-variation",
        "5", "--lr-scheduler", "multi_step", "--milestones", "1", "--max-epoch", "2",
    )  # fmt: skip
    train(data_bin, tmp_path / "typed", *typed, arch="qrnn_ptb")
    assert same_weights(tmp_path / "hydra/checkpoint_last.pt", tmp_path / "typed/checkpoint_last.pt")
