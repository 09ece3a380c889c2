"""No code runs from the plain values of a checkpoint, and no model is larger than its weights."""

import argparse
import math

import pytest
import torch

from lm_plugins.checkpoint_contents import _only_states_a_value
from lm_plugins.errors import Refused
from lm_plugins.hub import load
from lm_plugins.models.awd_lstm import AWDLSTM
from tests.helpers.refusals import refused
from tests.helpers.runner import PLUGIN, evaluate, run_fairseq, train


@pytest.fixture(scope="module")
def checkpoint(data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    train(data_bin, folder, "--max-update", "2")
    return torch.load(folder / "checkpoint_last.pt", weights_only=False)


def altered(checkpoint, trace, kind):
    """Return a checkpoint of plain values that creates the file `trace` when fairseq builds from it."""
    code = f"[(8, 3, 2)] + [open('{trace}', 'w') or (8, 3, 2)]"
    state = {**checkpoint, "cfg": {**checkpoint["cfg"]}}
    if kind == "model":
        state["cfg"]["model"] = {"_name": "wav2vec2", "conv_feature_layers": code}
    elif kind == "model and task":
        state["cfg"]["model"] = {"_name": "wav2vec2", "conv_feature_layers": code}
        state["cfg"]["task"] = {"_name": "language_modeling", "data": checkpoint["cfg"]["task"]["data"]}
    elif kind == "name of the task":
        state["cfg"]["task"] = {**checkpoint["cfg"]["task"], "task": "language_modeling"}
    elif kind == "criterion":
        state["cfg"]["criterion"] = {"_name": "cross_entropy"}
    elif kind == "args":
        state["args"] = argparse.Namespace(arch="fconv_self_att_wp", decoder_layers=code)
    elif kind == "layers":
        state["cfg"]["model"] = {**checkpoint["cfg"]["model"], "decoder_layers": 3_000_000}
    elif kind == "sizes":
        state["cfg"]["model"] = {**checkpoint["cfg"]["model"], "decoder_embed_dim": 10**12}
    elif kind == "no size":
        state["cfg"]["model"] = {**checkpoint["cfg"]["model"], "decoder_hidden_size": 0}
    elif kind in ("x", "nan"):
        state["cfg"]["model"] = {**checkpoint["cfg"]["model"], "dropout": "x" if kind == "x" else math.nan}
    elif kind == "weights":
        state["model"] = dict.fromkeys(checkpoint["model"], "x")
    elif kind == "list":
        state["model"] = [1]
    return state


KINDS = ["model", "model and task", "name of the task", "criterion", "args", "layers", "sizes"]
ALTERED = ["no size", "x", "nan", "weights", "list"]  # values of this package's own options


@pytest.mark.parametrize("kind", [*KINDS, *ALTERED])
def test_hub(checkpoint, data_bin, tmp_path, kind):
    trace, path = tmp_path / "trace", tmp_path / "a.pt"
    torch.save(altered(checkpoint, trace, kind), path)
    with pytest.raises(Refused, match=str(path)):
        load(path, data_bin)
    assert not trace.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_from_pretrained(checkpoint, data_bin, tmp_path, kind):
    trace, path = tmp_path / "trace", tmp_path / "a.pt"
    torch.save(altered(checkpoint, trace, kind), path)
    with pytest.raises(Refused, match=str(path)):
        AWDLSTM.from_pretrained(str(tmp_path), "a.pt", str(data_bin))
    assert not trace.exists()


# fairseq-validate loads as fairseq-eval-lm does, and fairseq-interactive as fairseq-generate.
RUNS = [
    *((program, kind) for program in ("eval-lm", "generate") for kind in ("model", "model and task", "args")),
    ("validate", "args"),
    ("interactive", "model and task"),
]


@pytest.mark.parametrize("program, kind", RUNS)
def test_programs(checkpoint, data_bin, tmp_path, program, kind):
    trace, path = tmp_path / "trace", tmp_path / "a.pt"
    torch.save(altered(checkpoint, trace, kind), path)
    refused(run_fairseq(program, data_bin, "--user-dir", PLUGIN, "--path", path, succeeds=False), str(path))
    assert not trace.exists()


def test_every_file_of_an_ensemble_is_checked(checkpoint, data_bin, tmp_path):
    trace, good, bad = (tmp_path / name for name in ("trace", "good.pt", "bad.pt"))
    torch.save(checkpoint, good)
    torch.save(altered(checkpoint, trace, "model"), bad)
    refused(evaluate(data_bin, f"{good}:{bad}", succeeds=False), str(bad))
    bad.rename(tmp_path / "good-shard0.pt")  # fairseq reads this file in place of good.pt
    refused(evaluate(data_bin, good, succeeds=False), "good-shard0.pt")
    assert not trace.exists()


def test_a_typed_task_of_ours_does_not_open_the_way(checkpoint, data_bin, tmp_path):
    trace, path = tmp_path / "trace", tmp_path / "a.pt"
    torch.save(altered(checkpoint, trace, "model and task"), path)
    refused(evaluate(data_bin, path, "--task", "recurrent_language_modeling", succeeds=False), str(path))
    assert not trace.exists()


@pytest.mark.parametrize("program, kind", RUNS)
def test_neither_does_a_typed_task_of_fairseq(checkpoint, data_bin, tmp_path, program, kind):
    trace, path = tmp_path / "trace", tmp_path / "a.pt"
    torch.save(altered(checkpoint, trace, kind), path)
    flags = ("--user-dir", PLUGIN, "--path", path, "--task", "language_modeling")
    refused(run_fairseq(program, data_bin, *flags, succeeds=False), str(path))
    assert not trace.exists()


def test_the_language_model_of_a_translation_is_checked(checkpoint, data_bin, tmp_path):
    trace, good, bad = (tmp_path / name for name in ("trace", "good-x.pt", "bad.pt"))
    torch.save(checkpoint, good)
    torch.save(altered(checkpoint, trace, "model"), bad)
    flags = ("--path", tmp_path / "good.pt", "--lm-path", bad, "--checkpoint-suffix", "-x")
    refused(run_fairseq("generate", data_bin, "--user-dir", PLUGIN, *flags, succeeds=False), str(bad))
    assert not trace.exists()


def test_suffixes_shards_and_colons(checkpoint, data_bin, tmp_path):
    trace = tmp_path / "trace"
    for name, path, flags in (
        ("a-x.pt", "a.pt", ("--checkpoint-suffix", "-x")),
        ("b_part1.pt", "b.pt", ("--checkpoint-shard-count", "2")),
        ("c:d.pt", "c:d.pt", ()),
    ):
        torch.save(altered(checkpoint, trace, "model"), tmp_path / name)
        refused(evaluate(data_bin, tmp_path / path, *flags, succeeds=False), str(tmp_path / name))
    assert not trace.exists()


@pytest.mark.parametrize(
    "text, safe",
    [
        ("[(512, 4)] * 3 + [(1, -2)]", True),
        ("data-bin/ptb", True),
        ("[(8, 3, 2)] + [open('x')]", False),
        (" open('x')", False),
        ("3 3,open('x')", False),
        ("(lambda: 1)", False),
        ("f'{open(0)}'", False),
    ],
)
def test_which_strings_state_a_value(text, safe):
    assert _only_states_a_value(text) == safe
