"""Epochs of a corpus in several data folders are passes over all of them."""

import logging
import os
from pathlib import Path

import pytest
import torch
from fairseq.optim.lr_scheduler.fixed_schedule import FixedLRSchedule

import lm_plugins  # noqa: F401
from lm_plugins.architectures.one_cycle import training_tokens
from lm_plugins.completion import complete
from lm_plugins.errors import Refused
from lm_plugins.optim.lr_scheduler.fixed_by_pass import FixedByPass, FixedByPassConfig
from lm_plugins.optim.nt_asgd import NTASGD, NTASGDConfig
from lm_plugins.passes import count_folders
from recipes.logs import epochs, logged
from tests.helpers.checkpoints import optimizer_state, same_weights
from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.runner import train

LAST = "checkpoint_last.pt"


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return three data folders with one dictionary."""
    folders = []
    for number in range(3):
        folder = tmp_path_factory.mktemp(f"shard{number}")
        write_corpus(folder, seed=number, lines=(40 + 10 * number, 20, 20))
        extra = ("--srcdict", str(folders[0] / "dict.txt")) if folders else ()
        folders.append(binarize(folder, *extra))
    return folders


@pytest.fixture(scope="module")
def data(shards: list[Path]) -> str:
    """Return the three folders as they are typed."""
    return os.pathsep.join(map(str, shards))


SCHEDULES = {  # flags: rates of the nine folders of three passes, from 2 on
    ("--lr-scheduler", "multi_step", "--milestones", "1,2"): [2, 2, 2, 0.2, 0.2, 0.2, 0.02, 0.02, 0.02],
    ("--force-anneal", "2", "--lr-shrink", "0.5"): [2, 2, 2, 1, 1, 1, 0.5, 0.5, 0.5],
    ("--lr", "3,2"): [3, 3, 3, 2, 2, 2, 2, 2, 2],
    ("--lr-scheduler", "linear_decay", "--lr-end", "0.8", "--saturate-epochs", "2"): [
        2 - 0.2 * min(folder, 6) for folder in range(9)
    ],
}


@pytest.mark.parametrize("flags, rates", SCHEDULES.items(), ids=lambda value: str(value[1]))
def test_epochs_of_a_schedule_and_validations_are_passes(flags, rates, data, tmp_path):
    run = train(data, tmp_path, *flags, "--max-epoch", "3")
    trained, validated = logged(run.output, "train"), logged(run.output, "valid")
    assert [float(one["train_lr"]) for one in trained] == pytest.approx(rates)
    assert [one["epoch"] for one in validated] == [3, 6, 9]
    assert run.output.count("3 data folders: fairseq counts each of them as an epoch") == 1
    (tmp_path / "log").write_text(run.output)
    assert [one["epoch"] for one in epochs(tmp_path / "log", "valid")] == [1, 2, 3], "for the report"


def test_patience_counts_passes(data, tmp_path):
    """Rates that change nothing, so that the second validation is no better than the first."""
    run = train(data, tmp_path, "--lr", "1e-12", "--patience", "1", "--max-epoch", "9")
    assert len(logged(run.output, "train")) == 6 and len(logged(run.output, "valid")) == 2


def test_the_trigger_of_nt_asgd_counts_passes(data, tmp_path):
    flags = ("--optimizer", "nt_asgd", "--averaging", "always", "--nonmono", "0", "--lr", "1e-12")
    train(data, tmp_path, *flags, "--max-epoch", "4")
    assert len(optimizer_state(tmp_path / LAST)["history"]) == 4


def test_a_run_that_stopped_within_a_pass_resumes_exactly(data, tmp_path):
    flags = ("--lr-scheduler", "multi_step", "--milestones", "1", "--lr-gamma", "0.5", "--max-epoch", "2")
    whole = train(data, tmp_path / "whole", *flags)
    updates = [int(one["train_num_updates"]) for one in logged(whole.output, "train")]
    stop = (updates[3] + updates[4]) // 2  # in the second folder of the second pass
    for last in (stop, updates[-1]):
        train(data, tmp_path / "parts", *flags, "--max-update", str(last))
    assert same_weights(tmp_path / "whole" / LAST, tmp_path / "parts" / LAST)


def test_one_cycle_is_as_long_as_its_passes(shards, data):
    tokens = sum(training_tokens([str(shard)]) for shard in shards)
    assert training_tokens([data]) == tokens


def converted(*argv: str) -> list[str]:
    """Return what conversion appends to a completed command."""
    completed = complete(["fairseq-train", *argv], {})
    result = count_folders(completed)
    assert result[: len(completed)] == completed
    return result[len(completed) :]


def test_what_is_typed_and_what_an_architecture_sets_is_converted(data, shards, caplog):
    caplog.set_level(logging.INFO)
    assert converted(data, "--arch", "lstm_gbw_2x250") == [
        "--max-epoch", "60", "--validate-interval", "3", "--saturate-epochs", "57",
    ]  # fmt: skip
    message = caplog.records[-1].getMessage()
    assert message.endswith("--max-epoch 60 --validate-interval 3 --saturate-epochs 57")
    assert converted(
        data, "--arch", "lstm_small", "--max-epoch", "2", "--validate-interval", "2", "--update-freq", "1,4"
    ) == ["--lr-scheduler", "fixed_by_pass", "--max-epoch", "6", "--validate-interval", "6",
          "--update-freq", "1,1,1,4,4,4"]  # fmt: skip
    assert converted(str(shards[0]), "--arch", "lstm_small") == []
    with pytest.raises(Refused, match="--force-anneal of --lr-scheduler polynomial_decay would count"):
        flags = "--lr-scheduler", "polynomial_decay", "--total-num-update", "9", "--force-anneal", "3"
        converted(data, "--arch", "lstm_small", *flags)


def test_the_rates_of_passes_are_those_of_fixed():
    parameters = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = NTASGD(NTASGDConfig(lr=[1.0]), parameters)
    options = {"lr": [4.0, 2.0], "force_anneal": 4, "lr_shrink": 0.5}
    by_pass = FixedByPass(FixedByPassConfig(**options, data=os.pathsep.join("abc")), optimizer)
    fixed = FixedLRSchedule(FixedByPassConfig(**options, data=None), optimizer)
    expected = [fixed.get_next_lr(number) for number in range(1, 8) for _ in range(3)]
    assert [by_pass.get_next_lr(folder) for folder in range(1, 22)] == expected
