"""Corpora of independent sentences, and data in several folders."""

import os
import shutil

import numpy as np
import pytest
import torch
from fairseq.data import Dictionary

from lm_plugins.checkpoints import safe_loading
from lm_plugins.data.token_stream import load_token_stream
from lm_plugins.models.carried_state import stream_name
from lm_plugins.tasks.recurrent_language_modeling import (
    RecurrentLanguageModelingConfig,
    RecurrentLanguageModelingTask,
)
from recipes.logs import logged
from tests.helpers.checkpoints import largest_difference, same_weights
from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.kill import kill_after
from tests.helpers.refusals import refused
from tests.helpers.runner import TINY, Run, evaluate, perplexity, train, train_ranks

SENTENCES = ("--sample-break-mode", "eos")


@pytest.fixture(scope="module", params=["awd_lstm_ptb", "qrnn_ptb"])
def trained(request, data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sentences")
    return request.param, folder, train(data_bin, folder, *SENTENCES, "--max-epoch", "3", arch=request.param)


def model_of(path, data_bin):
    from fairseq import checkpoint_utils

    with safe_loading():
        (model,), _, task = checkpoint_utils.load_model_ensemble_and_task(
            [str(path)], arg_overrides={"data": str(data_bin)}
        )
    return model.eval(), task


def test_packed_scoring_is_sentence_by_sentence_scoring(trained, data_bin):
    """Each sentence alone, its first word predicted from </s> and no state; the same total to 1e-6."""
    _, folder, run = trained
    path = folder / "checkpoint_last.pt"
    model, task = model_of(path, data_bin)
    stream = load_token_stream(str(data_bin), "test", Dictionary.load(str(data_bin / "dict.txt")))
    total, at = 0.0, 0
    with torch.no_grad():
        for number, size in enumerate(stream.line_sizes.tolist()):
            target = torch.from_numpy(stream[at : at + size].astype("int64"))[None]
            source = torch.cat([torch.tensor([[task.dictionary.eos()]]), target[:, :-1]], 1)
            log_prob, _ = model(source, target=target, stream=f"sentence {number}", step=0)
            total, at = total - log_prob.double().sum().item(), at + size
    expected = torch.tensor(total / len(stream)).exp().item()
    for flags in (("--tokens-per-sample", "7"), ("--tokens-per-sample", "100"), ("--batch-size", "3")):
        ppl = perplexity(evaluate(data_bin, path, *flags))
        assert ppl == pytest.approx(expected, abs=0.006)
    assert len(set(float(epoch["valid_ppl"]) for epoch in logged(run.output, "valid"))) == 3
    packed = packed_total(model, stream, task.dictionary)
    assert packed == pytest.approx(total, rel=1e-6)


def packed_total(model, stream, dictionary, streams=3, window=7):
    """The total of the task's own windows, in double precision."""
    from lm_plugins.data.stream_windows import StreamWindows
    from lm_plugins.data.streams import sentences
    from lm_plugins.data.windows import cut, fixed

    windows = StreamWindows(
        stream, sentences(stream, streams, seed=4), range(streams), dictionary.pad(), dictionary.eos()
    )
    total, scored = 0.0, 0
    for place in cut(windows.streams(1).length, fixed(window)):
        sample = windows.collater([windows[place]])
        with torch.no_grad():
            log_prob, _ = model(**sample["net_input"])
        kept = sample["target"] != dictionary.pad()
        total, scored = total - log_prob.squeeze(-1)[kept].double().sum().item(), scored + int(kept.sum())
    assert scored == len(stream)
    assert stream_name("test", False) in model.decoder.carried.streams
    return total


def test_a_killed_run_resumes_bitwise_in_the_same_order(trained, data_bin, tmp_path):
    arch, folder, _ = trained
    flags = (*SENTENCES, "--max-epoch", "3", "--save-interval-updates", "30")
    run = Run("train", data_bin, "--arch", arch, *TINY, "--save-dir", tmp_path, *flags)
    kill_after([run], tmp_path / "checkpoint_2_150.pt")
    train(data_bin, tmp_path, *flags, arch=arch)
    assert same_weights(folder / "checkpoint_last.pt", tmp_path / "checkpoint_last.pt")


def test_two_processes_train_like_one(trained, data_bin, tmp_path):
    arch, folder, _ = trained
    flags = (*SENTENCES, "--max-epoch", "2", "--batch-size", "2")
    train_ranks(2, data_bin, tmp_path, *flags, arch=arch)
    assert largest_difference(folder / "checkpoint2.pt", tmp_path / "checkpoint_last.pt") < 1e-5


def test_the_order_of_another_seed_is_refused_in_the_middle_of_an_epoch(data_bin, tmp_path):
    train(data_bin, tmp_path, *SENTENCES, "--max-update", "20")
    flags = ("--max-update", "30", "--accept-changes")
    refused(train(data_bin, tmp_path, *flags, succeeds=False), "order of sentences")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A corpus in two data folders with one dictionary, as fairseq's `a:b`."""
    folders = []
    for number in range(2):
        folder = tmp_path_factory.mktemp(f"part{number}")
        write_corpus(folder, seed=number, lines=(120, 30, 30))
        extra = ("--srcdict", folders[0] / "bin/dict.txt") if folders else ()
        binarize(folder, *map(str, extra))
        folders.append(folder)
    return [str(folder / "bin") for folder in folders]


def test_epochs_take_turns_through_the_folders_and_resume(parts, tmp_path):
    data = os.pathsep.join(parts)
    run = train(data, tmp_path / "whole", *SENTENCES, "--max-epoch", "3")
    read = [part for part in run.output.split() if part.endswith("/train")]
    assert read[:3] == [f"{parts[0]}/train", f"{parts[1]}/train", f"{parts[0]}/train"]
    train(data, tmp_path / "two", *SENTENCES, "--max-epoch", "2")
    train(data, tmp_path / "two", *SENTENCES, "--max-epoch", "3")
    last = "checkpoint_last.pt"
    assert same_weights(tmp_path / "whole" / last, tmp_path / "two" / last)
    train(parts[0], tmp_path / "one", *SENTENCES, "--max-epoch", "3")
    assert not same_weights(tmp_path / "whole" / last, tmp_path / "one" / last)


def test_noise_is_counted_over_all_folders_which_are_read_once(parts, tmp_path):
    flags = ("--criterion", "nce", "--nce-k", "5", "--max-update", "1", *SENTENCES)
    run = train(os.pathsep.join(parts), tmp_path, *flags)
    for part in parts:
        assert run.output.count(f"{part}/train") == 1


@pytest.mark.parametrize("epoch", [1, 2])
def test_counts_do_not_depend_on_the_folder_that_is_loaded(parts, epoch):
    task = RecurrentLanguageModelingTask(
        RecurrentLanguageModelingConfig(data=os.pathsep.join(parts), train_subset="train", dataset_impl=None),
        Dictionary.load(f"{parts[0]}/dict.txt"),
    )
    task.load_dataset("train", epoch, combine=True)
    assert task.dataset("train").folder == parts[epoch - 1]
    tokens = [task.read(part, "train", combine=True).tokens for part in parts]
    expected = np.bincount(np.concatenate(tokens), minlength=len(task.dictionary))
    assert task.training_counts().tolist() == expected.tolist()


def test_folders_with_different_dictionaries_are_refused(parts, tmp_path):
    shutil.copytree(parts[1], tmp_path / "other")
    with open(tmp_path / "other/dict.txt", "a") as file:
        file.write("another 1\n")
    data = os.pathsep.join([parts[0], str(tmp_path / "other")])
    refused(train(data, tmp_path / "new", succeeds=False), "differs from")
