"""Every token of a text is a target exactly once in training, in validation and in evaluation.

All words of the text differ, so that a missing and a repeated target do not cancel out.
"""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from recipes.logs import logged
from tests.helpers.corpus import SPLITS, binarize
from tests.helpers.plain_model import tokens_of
from tests.helpers.plugin import write_plugin
from tests.helpers.runner import evaluate, train, train_ranks

LINES = [[f"w{number}" for number in range(first, first + 9)] for first in range(0, 450, 9)]
RECORDING = """
import json
from pathlib import Path

from lm_plugins.ranks import rank_and_world


@register_criterion("recording", dataclass=LMCrossEntropyConfig)
class Recording(LMCrossEntropy):
    def forward(self, model, sample):
        loss, size, logged = super().forward(model, sample)
        target = sample["target"]
        targets = target[target != self.padding_idx].tolist()
        record = {"training": model.training, "targets": targets, "size": int(size)}
        file = Path(__file__).parent / f"{rank_and_world()[0]}.jsonl"
        with open(file, "a") as records:
            records.write(json.dumps(record) + "\\n")
        return loss, size, logged
"""


@pytest.fixture(scope="module")
def distinct(tmp_path_factory):
    """Return a data-bin whose words occur once in each subset."""
    folder = tmp_path_factory.mktemp("distinct")
    for split in SPLITS:
        (folder / f"{split}.txt").write_text("".join(" ".join(line) + "\n" for line in LINES))
    return binarize(folder)


def recorded(plugin: Path, training: bool) -> Counter:
    """Return how often each token entered the loss of all processes, whose sample sizes must agree."""
    lines = [line for file in plugin.glob("*.jsonl") for line in file.read_text().splitlines()]
    records = [record for record in map(json.loads, lines) if record["training"] == training]
    assert len(records) > 5 and all(record["size"] == len(record["targets"]) for record in records)
    return Counter(token for record in records for token in record["targets"])


@pytest.mark.parametrize(
    "flags",
    [
        ("--random-start",),
        ("--bptt-variation", "5"),
        ("--rotate-streams", "--update-freq", "3"),
        ("--sample-break-mode", "eos"),
        ("--batch-size", "7"),
    ],
    ids=lambda flags: flags[0],
)
def test_all_targets_are_counted_once(distinct, tmp_path, flags):
    plugin = write_plugin(tmp_path, RECORDING)
    common = ("--user-dir", plugin, "--criterion", "recording", "--max-epoch", "1", "--log-interval", "1")
    finished = train(distinct, tmp_path / "saved", *common, "--no-save", *flags)
    for training, subset in ((True, "train"), (False, "valid")):
        assert recorded(plugin, training) == Counter(tokens_of(distinct, subset).tolist())
    counts = [float(update["wpb"]) for update in logged(finished.output, "train_inner")]
    assert sum(counts) == len(tokens_of(distinct, "train"))


def test_all_targets_are_counted_once_by_two_processes(distinct, tmp_path):
    plugin = write_plugin(tmp_path, RECORDING)
    flags = ("--user-dir", plugin, "--criterion", "recording", "--max-epoch", "1", "--batch-size", "3")
    train_ranks(2, distinct, tmp_path / "saved", *flags)
    assert {file.name for file in plugin.glob("*.jsonl")} == {"0.jsonl", "1.jsonl"}
    for training, subset in ((True, "train"), (False, "valid")):
        assert recorded(plugin, training) == Counter(tokens_of(distinct, subset).tolist())


def test_all_targets_are_counted_once_in_evaluation(distinct, tmp_path):
    train(distinct, tmp_path, "--max-update", "1", "--no-epoch-checkpoints")
    flags = ("--output-word-probs", "--tokens-per-sample", "7", "--eval-streams", "3", "--eval-warmup", "20")
    finished = evaluate(distinct, tmp_path / "checkpoint_last.pt", *flags)
    scored = re.findall(r"(\S+) \[-?\d+\.\d+\]", finished.output)
    assert Counter(scored) == Counter([*(word for line in LINES for word in line), *["</s>"] * len(LINES)])
