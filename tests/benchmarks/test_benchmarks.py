"""The benchmarks run; what they measure is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.__main__ import all_groups, main
from benchmarks.awd_lstm_lm import PeerModel
from benchmarks.output_layers import adaptive, adaptive_of_torch, peer_mixture
from benchmarks.qrnn import peer_pooling
from benchmarks.training_step import PEERS
from lm_plugins.ops.fo_pooling import fo_pooling

ROOT = Path(__file__).parents[2]
GROUPS = [group for _, group in all_groups(quick=True, only="")]


@pytest.mark.parametrize("group", GROUPS, ids=[group.name for group in GROUPS])
def test_every_case_runs_twice(group):
    for make in group.cases.values():
        work = make()
        work()
        output = work()  # of a forward pass
        assert output is None or output.isfinite().all()


def test_rivals_do_the_same_work():
    gates, c0 = torch.randn(5, 3, 12), torch.randn(3, 4)
    torch.testing.assert_close(peer_pooling(gates, c0), fo_pooling(gates, c0))
    x, target = torch.randn(6, 8), torch.randint(9, (6,))
    head, nll = peer_mixture(9, 8, 3, 5)
    torch.testing.assert_close(nll(x, target), head.nll(x, target), rtol=1e-4, atol=1e-4)
    for make in (adaptive_of_torch, adaptive):
        torch.manual_seed(2)
        head, nll = make(50, 16, [10, 20])
        losses = nll(x.repeat(1, 2), target * 5)
        if make is adaptive_of_torch:
            weights, expected = head.state_dict(), losses
    assert head.state_dict().keys() == weights.keys()
    head.load_state_dict(weights)
    torch.testing.assert_close(nll(x.repeat(1, 2), target * 5), expected)


def test_the_hand_written_models_have_the_size_of_ours():
    for arch, millions in (("awd_lstm_ptb", 24.2), ("qrnn_ptb", 24.0)):
        kind, hidden, layers, *dropouts, _ = PEERS[arch]
        model = PeerModel(kind, 10_000, 400, hidden, layers, *dropouts)
        assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


def test_names_are_unique():
    assert len({group.name for group in GROUPS}) == len(GROUPS)


def test_the_command_compares_and_writes_json(tmp_path):
    """In a process of its own: its forkserver imports the plug-in, that of the other tests must not."""
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--repeat", "2", "--only", "pooling.*forward$"]
    printed = subprocess.run(
        [*command, "--json", str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    found = json.loads(path.read_text())
    assert found["environment"]["torch"] == torch.__version__
    rows = found["results"]
    assert [row["case"] for row in rows] == ["torchqrnn's way", "torch alone", "ours"]
    assert all(row["case"] in printed and row["seconds"] > 0 for row in rows)
    assert rows[0]["faster"] == rows[0]["memory"] == 1


def test_a_pattern_without_a_group_is_an_error(capsys):
    with pytest.raises(SystemExit):
        main(["--quick", "--only", "no such thing"])
    assert "no group has 'no such thing'" in capsys.readouterr().err
