"""--split-vocabulary: two processes, each with half of the tables, train the model of whole tables."""

import shutil

import pytest
import torch

from recipes.logs import logged
from tests.helpers.checkpoints import load, same_weights
from tests.helpers.plugin import write_plugin
from tests.helpers.refusals import files, refused
from tests.helpers.runner import evaluate, perplexity, start_ranks, train, train_ranks

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
        losses, expected = ([float(x[name]) for x in logged(run.output, tag)] for run in (split, whole))
        assert losses == pytest.approx(expected, rel=1e-5) and len(losses) == 2, name
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


def check_tables_are_whole(path, data_bin):
    words = len((data_bin / "dict.txt").read_text().splitlines()) + 4
    weights = load(path)["model"]
    tables = [v for k, v in weights.items() if k.endswith(("embed_tokens.weight", "vocabulary.weight"))]
    assert [len(table) for table in tables] == [words] * 2
    assert all(table.unique(dim=0).shape == table.shape for table in tables), "no row was left empty or twice"


def test_a_checkpoint_holds_whole_tables(data_bin, tmp_path):
    train_ranks(2, data_bin, tmp_path, *COMMON, *SPLIT, "--max-update", "1")
    check_tables_are_whole(tmp_path / "checkpoint_last.pt", data_bin)


@pytest.mark.parametrize("flag", ["--no-save-optimizer-state", "--store-ema"])
def test_options_that_skip_the_gathering_are_refused(data_bin, tmp_path, flag):
    """Only half of the words would be in the checkpoint."""
    runs = start_ranks(2, data_bin, tmp_path / "new", *COMMON, *SPLIT, "--max-update", "1", flag)
    for finished in [run.finish() for run in runs]:
        assert finished.status != 0 and "Traceback" not in finished.output
        assert f"lm_plugins: error: {flag}" in finished.error()
    assert not files(tmp_path)


def test_one_process_needs_no_optimizer_state(data_bin, tmp_path):
    train(data_bin, tmp_path, *COMMON, *SPLIT, "--max-update", "1", "--no-save-optimizer-state")
    check_tables_are_whole(tmp_path / "checkpoint_last.pt", data_bin)


FAILING = """
from lm_plugins.ranks import rank_and_world


class Failing(LMCrossEntropy):
    updates = 0

    def forward(self, model, sample):
        self.updates += model.training
        loss, *logged = super().forward(model, sample)
        return (self.failed(loss) if self.updates == 3 else loss), *logged


@register_criterion("failing_on_the_first_rank", dataclass=LMCrossEntropyConfig)
class FailingOnTheFirstRank(Failing):
    def failed(self, loss):
        if rank_and_world()[0] == 0:
            raise ValueError("injected")
        return loss


@register_criterion("failing_everywhere", dataclass=LMCrossEntropyConfig)
class FailingEverywhere(Failing):
    def failed(self, loss):
        return loss * float("nan")
"""


def crash(data_bin, folder, *flags):
    """Train two processes with a criterion, from a user-dir, that fails in the third update."""
    plugin = write_plugin(folder, FAILING)
    flags = (*COMMON, "--batch-size", "2", "--save-interval-updates", "2", "--user-dir", plugin, *flags)
    runs = start_ranks(2, data_bin, folder / "saved", *flags)
    finished = [run.finish() for run in runs]
    assert all(rank.status not in (0, None) for rank in finished)
    return finished[0].output


def test_a_failure_on_one_process_leaves_the_checkpoints_before_it(data_bin, tmp_path):
    output = crash(data_bin, tmp_path, "--split-vocabulary", "--criterion", "failing_on_the_first_rank")
    assert "no crash.pt is written" in output
    assert output.strip().endswith("ValueError: injected"), "the failure itself is reported"
    assert not (tmp_path / "saved/crash.pt").exists()
    for name in ("checkpoint_1_2.pt", "checkpoint_last.pt"):
        check_tables_are_whole(tmp_path / "saved" / name, data_bin)


def test_gradients_that_are_nan_on_all_processes_leave_whole_tables(data_bin, tmp_path):
    output = crash(data_bin, tmp_path, "--split-vocabulary", "--criterion", "failing_everywhere")
    assert "gradients are Nan/Inf" in output
    check_tables_are_whole(tmp_path / "saved/crash.pt", data_bin)


def test_without_sharded_tables_a_failure_leaves_the_weights(data_bin, tmp_path):
    output = crash(data_bin, tmp_path, "--criterion", "failing_on_the_first_rank")
    assert output.strip().endswith("ValueError: injected")
    check_tables_are_whole(tmp_path / "saved/crash.pt", data_bin)


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
