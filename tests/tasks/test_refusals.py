"""Bad input gets one clear sentence, a status other than zero, and nothing is overwritten."""

import pickle
import shutil

import pytest
import torch

from recipes.logs import logged
from tests.helpers.corpus import binarize, write_corpus
from tests.helpers.plugin import write_plugin
from tests.helpers.refusals import files, refused
from tests.helpers.runner import PLUGIN, evaluate, run_fairseq, train


@pytest.fixture(scope="module")
def checkpoints(data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    train(data_bin, folder, "--max-epoch", "2", "--save-interval-updates", "50", "--random-start")
    return folder


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--amp",), "--amp"),
        (("--bf16",), "--bf16"),
        (("--sentence-avg",), "--sentence-avg"),
        (("--store-ema",), "give --averaging ema"),
        (("--memory-efficient-fp16", "--optimizer", "nt_asgd"), "give --optimizer adam or adafactor"),
        (("--lr", "1,0.5", "--lr-scheduler", "cosine", "--max-update", "9"), "Consider --lr-scheduler=fixed"),
        (("--skip-remainder-batch",), "--skip-remainder-batch"),
        (("--tokens-per-sample", "0"), "--tokens-per-sample is 0"),
        (("--tokens-per-sample", "5000"), "less than one window of 5000 tokens"),
        (("--batch-size", "3000"), "less than one window"),
        (("--batch-size-valid", "100000"), "lower --batch-size"),
        (("--valid-subset", "nowhere"), "no data for the subset 'nowhere'"),
        (("--criterion", "cross_entropy"), "lm_cross_entropy"),
        (("--distributed-world-size", "2"), "torchrun"),
        (("--bptt-multiple", "8", "--bptt-variation", "0"), "--bptt-multiple has no effect"),
        (("--bptt-multiple", "800", "--bptt-variation", "5"), "--bptt-multiple 800 is above the longest"),
        (("--max-valid-steps", "0"), "--max-valid-steps"),
        (("--use-bmuf",), "--use-bmuf"),
    ],
)
def test_training_flags(data_bin, tmp_path, flags, part):
    refused(train(data_bin, tmp_path / "new", *flags, succeeds=False), part)
    assert not files(tmp_path)


def test_no_batch_size(data_bin, tmp_path):
    """A family has no preset that would give one."""
    for flags in ((), ("--max-tokens", "100")):
        finished = run_fairseq(
            "train", data_bin, "--user-dir", PLUGIN, "--arch", "qrnn", "--cpu", "--optimizer", "sgd",
            "--lr", "1", "--save-dir", tmp_path, *flags, succeeds=False,
        )  # fmt: skip
        refused(finished, "--batch-size")


def test_an_unknown_arch_names_the_near_one(data_bin, tmp_path):
    refused(train(data_bin, tmp_path, arch="qrnn_wt13", succeeds=False), "did you mean qrnn_wt103?")


def test_no_arch(data_bin):
    refused(run_fairseq("train", data_bin, "--user-dir", PLUGIN, succeeds=False), "--arch is missing")


def test_a_folder_that_cannot_be_made(data_bin, tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", "/proc/x"):
        refused(train(data_bin, folder, succeeds=False), f"--save-dir {folder} cannot be written")


def test_an_optimizer_without_its_learning_rate(data_bin, tmp_path):
    finished = run_fairseq(
        "train", data_bin, "--user-dir", PLUGIN, "--arch", "awd_lstm_ptb", "--optimizer", "adam",
        "--save-dir", tmp_path, succeeds=False,
    )  # fmt: skip
    refused(finished, "with --optimizer adam also give --lr")


@pytest.mark.parametrize("program", ["train", "eval-lm"])
def test_missing_and_empty_data(tmp_path, program, checkpoints):
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow/dict.txt").touch()
    for name, part in (("none", "does not exist"), ("empty", "no dict.txt"), ("hollow", "is empty")):
        if program == "train":
            finished = train(tmp_path / name, tmp_path / "new", succeeds=False)
        else:
            finished = evaluate(tmp_path / name, checkpoints / "checkpoint1.pt", succeeds=False)
        refused(finished, part)


def test_an_empty_split(data_bin, tmp_path, checkpoints):
    texts = write_corpus(tmp_path, lines=(40, 5, 5))
    texts[2].write_text("")
    empty = binarize(tmp_path, "--srcdict", str(data_bin / "dict.txt"))
    refused(evaluate(empty, checkpoints / "checkpoint1.pt", succeeds=False), "test is empty")


def test_a_checkpoint_that_is_not_there(data_bin, tmp_path):
    refused(evaluate(data_bin, tmp_path / "none.pt", succeeds=False), "none.pt", "that exists")
    refused(evaluate(data_bin, tmp_path, succeeds=False), f"{tmp_path} is a folder", "checkpoint_best.pt")
    finished = run_fairseq("eval-lm", data_bin, "--user-dir", PLUGIN, succeeds=False)
    refused(finished, "fairseq-eval-lm needs a checkpoint: give its path with --path")


def test_a_part_of_a_corpus(data_bin, checkpoints):
    """fairseq-validate has --max-valid-steps, but reads the whole subset anyway."""
    path = ("--user-dir", PLUGIN, "--cpu", "--path", checkpoints / "checkpoint1.pt")
    whole, part = (
        logged(run_fairseq("validate", data_bin, *path, "--log-format", "json", *flags).output, "valid")
        for flags in ((), ("--max-valid-steps", "2"))
    )
    assert whole[0]["valid_loss"] == part[0]["valid_loss"]
    flags = ("--score-reference", "--distributed-world-size", "2")
    refused(run_fairseq("generate", data_bin, *path, *flags, succeeds=False), "only part of the lines")


def test_literal_special_symbols(tmp_path, checkpoints):
    texts = write_corpus(tmp_path, lines=(40, 5, 5))
    texts[0].write_text("w1 <pad> w2\n" * 50)
    refused(train(binarize(tmp_path), tmp_path / "new", succeeds=False), "literal symbol <pad>")


def test_another_dictionary(data_bin, other_data_bin, checkpoints, tmp_path):
    """The other dictionary has the same size, so only the words differ."""
    before = files(checkpoints)
    path = checkpoints / "checkpoint1.pt"
    refused(evaluate(other_data_bin, path, succeeds=False), "a different dictionary")
    refused(train(other_data_bin, checkpoints, succeeds=False), "a different dictionary")
    finetune = ("--finetune-from-model", path)
    refused(train(other_data_bin, tmp_path, *finetune, succeeds=False), "a different dictionary")
    assert files(checkpoints) == before


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--batch-size", "5"), "streams of all ranks = 4"),
        (("--tokens-per-sample", "11"), "window = 10"),
        (("--seed", "4", "--accept-changes"), "seed = 3"),
        (("--train-subset", "valid"), "corpus"),
    ],
)
def test_resuming_on_another_layout(data_bin, checkpoints, tmp_path, flags, part):
    for name in ("checkpoint_1_100.pt", "checkpoint1.pt"):  # within an epoch and between two
        shutil.copy(checkpoints / name, tmp_path / "checkpoint_last.pt")
        before = files(tmp_path)
        refused(train(data_bin, tmp_path, "--random-start", *flags, succeeds=False), part)
        assert files(tmp_path) == before


def test_a_truncated_checkpoint(data_bin, checkpoints, tmp_path):
    path = tmp_path / "checkpoint_last.pt"
    path.write_bytes((checkpoints / "checkpoint1.pt").read_bytes()[:-1000])
    before = files(tmp_path)
    refused(evaluate(data_bin, path, succeeds=False), str(path), "cut short")
    refused(train(data_bin, tmp_path, succeeds=False), str(path), "cut short")
    assert files(tmp_path) == before


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("legacy", [False, True])
def test_a_malicious_checkpoint_does_not_run(data_bin, checkpoints, tmp_path, legacy):
    path, trace = tmp_path / "checkpoint_last.pt", tmp_path / "trace"
    state = torch.load(checkpoints / "checkpoint1.pt", weights_only=False)
    state["extra"] = Malicious(trace)
    if legacy:
        path.write_bytes(pickle.dumps(state["extra"]))
    else:
        torch.save(state, path)
    refused(evaluate(data_bin, path, succeeds=False), str(path))
    refused(train(data_bin, tmp_path, succeeds=False), str(path))
    assert not trace.exists()


def test_a_loss_that_is_not_a_number(data_bin, tmp_path):
    """Training diverges at once, so the earlier model stays the best."""
    options = ("--clip-norm", "0", "--no-epoch-checkpoints", "--validate-interval-updates", "1")
    train(data_bin, tmp_path, "--max-update", "3", *options)
    before = files(tmp_path)
    options = (*options, "--accept-changes", "--max-epoch", "3", "--lr", "1e38")
    finished = train(data_bin, tmp_path, *options, succeeds=False)
    refused(finished, "training has diverged")
    after = files(tmp_path)
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize(
    "flags, part",
    [
        (("--context-window", "5"), "--context-window"),
        (("--num-shards", "2"), "--num-shards"),
        (("--post-process", "subword_nmt"), "--post-process"),
        (("--task", "language_modeling", "--num-workers", "0"), "--task recurrent_language_modeling"),
        (("--gen-subset", "nowhere"), "no data for the subset 'nowhere'"),
    ],
)
def test_evaluation_flags(data_bin, checkpoints, flags, part):
    refused(evaluate(data_bin, checkpoints / "checkpoint1.pt", *flags, succeeds=False), part)


def test_the_training_text_of_several_folders_is_not_evaluated(data_bin, checkpoints):
    """Its perplexity would be that of the first folder."""
    folders, subset = f"{data_bin}:{data_bin}", ("--gen-subset", "train")
    finished = evaluate(folders, checkpoints / "checkpoint1.pt", *subset, succeeds=False)
    refused(finished, f"is in 2 data folders, of which fairseq-eval-lm would read {data_bin} alone")


def test_evaluation_under_torchrun(data_bin, checkpoints):
    finished = evaluate(data_bin, checkpoints / "checkpoint1.pt", WORLD_SIZE="2", succeeds=False)
    refused(finished, "evaluate with one process")


def test_a_model_of_another_family(data_bin, checkpoints, tmp_path):
    finished = run_fairseq(
        "train", data_bin, "--user-dir", PLUGIN, "--task", "recurrent_language_modeling", "--arch",
        "lstm_lm", "--cpu", "--batch-size", "4", "--criterion", "lm_cross_entropy",
        "--save-dir", tmp_path, "--tokens-per-sample", "10", succeeds=False,
    )  # fmt: skip
    refused(finished, "carries no recurrent state")


def test_a_criterion_from_elsewhere_is_accepted_by_its_type(data_bin, tmp_path):
    source = """
@register_criterion("doubled", dataclass=LMCrossEntropyConfig)
class Doubled(LMCrossEntropy):
    def forward(self, model, sample):
        loss, *logged = super().forward(model, sample)
        return 2 * loss, *logged
"""
    flags = ("--user-dir", write_plugin(tmp_path, source), "--criterion", "doubled", "--max-update", "2")
    assert logged(train(data_bin, tmp_path / "run", *flags).output, "valid")
