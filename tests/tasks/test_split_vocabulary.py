"""--split-vocabulary: two processes with half of the tables each train what two with all of them do."""

import shutil

import pytest
import torch

from tests.runner import evaluate, load, logged, perplexity, same_weights, train, train_ranks
from tests.tasks.test_refusals import files, refused

NCE = ("--criterion", "nce", "--nce-k", "20", "--lr", "2", "--clip-norm", "1")
SPLIT = ("--split-vocabulary", "--batch-size", "2")
COMMON = (
    "--weight-decay", "0", "--dropout", "0", "--embedding-dropout", "0.1", "--sample-break-mode", "eos",
    "--no-share-decoder-input-output-embed", "--optimizer", "nt_asgd", "--tokens-per-sample", "40",
)  # fmt: skip


@pytest.fixture(scope="module")
def start(data_bin, tmp_path_factory):
    """A model to start from: the tables of a split one are drawn in another order."""
    folder = tmp_path_factory.mktemp("start")
    train(data_bin, folder, *COMMON, "--max-update", "5", "--no-epoch-checkpoints")
    return folder / "checkpoint_last.pt"


@pytest.mark.parametrize(
    "flags",
    [
        ("--clip-norm", "0.1"),
        (*NCE, "--sparse-embedding-grad"),
        ("--share-decoder-input-output-embed",),
    ],
    ids=["softmax", "nce, sparse", "tied"],
)
def test_the_losses_are_those_of_whole_tables(flags, data_bin, start, tmp_path):
    flags = (*COMMON, *flags, "--max-epoch", "2", "--batch-size", "2")
    if "--share-decoder-input-output-embed" in flags:
        flags = (*flags, "--decoder-last-size", "12", "--seed", "4")
        train(data_bin, tmp_path / "start", *flags, "--batch-size", "4", "--max-update", "5")
        start = tmp_path / "start/checkpoint_last.pt"
    flags = (*flags, "--averaging", "never", "--finetune-from-model", start)
    dense = [flag for flag in flags if flag != "--sparse-embedding-grad"]
    whole = train_ranks(2, data_bin, tmp_path / "whole", *dense)
    split = train_ranks(2, data_bin, tmp_path / "split", *flags, "--split-vocabulary")
    for tag, name in (("train", "train_loss"), ("valid", "valid_loss"), ("train", "train_gnorm")):
        found, expected = ([float(x[name]) for x in logged(run.output, tag)] for run in (split, whole))
        assert found == pytest.approx(expected, rel=1e-5) and len(found) == 2, name
    one, other = (load(tmp_path / name / "checkpoint_last.pt")["model"] for name in ("whole", "split"))
    for key in one:
        torch.testing.assert_close(one[key], other[key], rtol=1e-4, atol=1e-5, msg=key)
    alone = evaluate(
        data_bin, tmp_path / "split/checkpoint_last.pt", "--gen-subset", "valid", "--batch-size", "4"
    )
    logged_ppl = float(logged(split.output, "valid")[-1]["valid_ppl"])
    assert perplexity(alone) == pytest.approx(logged_ppl, abs=0.006)


@pytest.mark.parametrize(
    "flags",
    [
        ("--averaging", "always", "--nonmono", "9", "--clip-norm", "0.1"),
        ("--averaging", "two_tailed"),
        (*NCE, "--sparse-embedding-grad", "--optimizer", "sparse_adagrad", "--lr", "0.3"),
    ],
    ids=["averaging", "two-tailed averaging", "nce, sparse adagrad"],
)
def test_it_resumes_bitwise_on_two_processes_and_on_one(flags, data_bin, tmp_path):
    flags = (*COMMON, *flags, *SPLIT, "--max-epoch", "2")
    train_ranks(2, data_bin, tmp_path / "whole", *flags)
    resumed = tmp_path / "resumed"
    resumed.mkdir()
    shutil.copy(tmp_path / "whole/checkpoint1.pt", resumed / "checkpoint_last.pt")
    train_ranks(2, data_bin, resumed, *flags)
    last = tmp_path / "whole/checkpoint_last.pt"
    assert same_weights(last, resumed / "checkpoint_last.pt")
    (tmp_path / "one").mkdir()
    shutil.copy(last, tmp_path / "one/checkpoint_last.pt")
    train(data_bin, tmp_path / "one", *flags, "--batch-size", "4", "--reset-dataloader", "--max-epoch", "3")
    one, two = load(tmp_path / "one/checkpoint_last.pt"), load(last)
    assert one["model"].keys() == two["model"].keys()
    assert [p.shape for p in one["model"].values()] == [p.shape for p in two["model"].values()]


def test_each_process_holds_a_part_and_a_checkpoint_the_whole(data_bin, tmp_path):
    train_ranks(2, data_bin, tmp_path, *COMMON, *SPLIT, "--max-update", "1")
    saved = load(tmp_path / "checkpoint_last.pt")
    words = len((data_bin / "dict.txt").read_text().splitlines()) + 4
    tables = [
        v for k, v in saved["model"].items() if k.endswith(("embed_tokens.weight", "vocabulary.weight"))
    ]
    assert [len(table) for table in tables] == [words] * 2
    assert all(table.unique(dim=0).shape == table.shape for table in tables), "no row was left empty or twice"


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--optimizer", "adam"), "the optimizer does not support --split-vocabulary"),
        (("--output-layer", "mos"), "--split-vocabulary supports only the full softmax"),
        (("--fp16", "--fp16-init-scale", "4"), "in float32"),
    ],
)
def test_what_does_not_fit_is_refused(data_bin, tmp_path, flags, part):
    flags = (*COMMON, "--split-vocabulary", *flags)
    refused(train(data_bin, tmp_path / "new", *flags, succeeds=False), part)
    assert {path.name for path in files(tmp_path)} <= {"crash.pt"}  # fairseq's, of a first update
