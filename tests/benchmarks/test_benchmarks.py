"""The benchmarks run; what they measure is not tested."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from benchmarks import peer_code
from benchmarks.__main__ import all_groups, main
from benchmarks.awd_lstm_lm import PeerModel
from benchmarks.floor import FLOOR, FLOOR_BF16
from benchmarks.output_layers import adaptive, adaptive_of_torch, peer_mixture
from benchmarks.passes import AS_TRAINED
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


def test_the_methods_of_peers_do_the_same_work():
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


def test_the_picture_of_the_output_layer_s_memory(tmp_path):
    command = [sys.executable, "-m", "benchmarks.output_memory", "--quick"]
    subprocess.run([*command, "--picture", str(tmp_path / "memory.png")], cwd=ROOT, check=True)
    assert (tmp_path / "memory.png").stat().st_size > 5000
    written = json.loads((tmp_path / "memory.json").read_text())
    assert all(len(peaks) == len(written["vocabulary"]) == 1 for peaks in written["peak_mib"].values())


def test_names_are_unique():
    assert len({group.name for group in GROUPS}) == len(GROUPS)


PEER_FILES = {
    "model.py": """
        import torch
        from torch import nn
        from torchqrnn import QRNNLayer

        class RNNModel(nn.Module):
            def __init__(self, kind, vocabulary, size, *rest):
                super().__init__()
                print("from the peer")
                self.ninp, self.rnns = size, nn.ModuleList([QRNNLayer(size, size)])
                self.encoder, self.decoder = nn.Embedding(vocabulary, size), nn.Linear(size, vocabulary)

            def init_hidden(self, streams):
                return [torch.zeros(1, streams, self.ninp)]

            def forward(self, source, state, return_h):
                x, left = self.rnns[0](self.encoder(source), state[0])
                return x.flatten(0, 1), [left], [x], [x]
        """,
    "splitcross.py": """
        from torch import nn

        class SplitCrossEntropyLoss(nn.Module):
            def __init__(self, size, splits):
                super().__init__()

            def forward(self, weight, bias, x, target):
                return nn.functional.cross_entropy(nn.functional.linear(x, weight, bias), target)
        """,
    "utils.py": """
        def repackage_hidden(state):
            return [part.detach() for part in state]
        """,
    "torchqrnn/__init__.py": "from .qrnn import QRNNLayer",
    "torchqrnn/forget_mult.py": """
        from cupy.cuda import function
        from pynvrtc.compiler import Program
        """,
    "torchqrnn/qrnn.py": """
        from torch import nn
        from . import forget_mult

        class QRNNLayer(nn.Module):
            def __init__(self, n_in, n_out, use_cuda=True):
                super().__init__()
                self.linear, self.use_cuda = nn.Linear(n_in, 3 * n_out), use_cuda

            def forward(self, x, state):
                assert not self.use_cuda
                output = self.linear(x).chunk(3, dim=2)[0] + state
                return output, output[-1:]
        """,
}


def test_the_command_compares_with_the_code_of_peers_and_writes_json(tmp_path):
    """In a separate process: its forkserver imports the plug-in, which that of other tests must not do."""
    for name, text in PEER_FILES.items():
        path = tmp_path / ("qrnn" if "/" in name else "lstm") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    command = [sys.executable, "-m", "benchmarks", "--quick", "--repeat", "1"]
    command += ["--only", "step of qrnn|QRNN.*forward$", "--json", str(tmp_path / "figures.json")]
    command += ["--peer", str(tmp_path / "lstm"), "--peer", str(tmp_path / "qrnn")]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = json.loads((tmp_path / "figures.json").read_text())
    assert found["environment"]["torch"] == torch.__version__
    rows = found["results"]
    assert [row["case"] for row in rows] == [
        *("torchqrnn's way", "torchqrnn itself", "torch alone", "ours", "copying as many bytes"),
        *("torchqrnn's way", "torchqrnn itself", "torch.nn.LSTM", "ours", AS_TRAINED, FLOOR),
        *("awd-lstm-lm's way", "awd-lstm-lm itself", "ours", "ours, --autocast bf16", FLOOR, FLOOR_BF16),
    ]
    assert all(row["case"] in printed and row["seconds"] > 0 for row in rows)
    assert rows[0]["faster"] == rows[0]["memory"] == 1
    assert "from the peer" not in printed
    floors = {row["case"]: row["of_floor"] for row in rows[-6:]}
    assert floors["ours"] > 0 and floors["ours, --autocast bf16"] > 0 and floors[FLOOR] is None


def test_a_case_needs_the_code_of_all_its_peers(tmp_path, monkeypatch):
    for name in ("model.py", "splitcross.py", "utils.py"):
        (tmp_path / name).touch()
    monkeypatch.setenv(peer_code.VARIABLE, peer_code.folder(tmp_path))
    with_it = [group.name for _, group in all_groups(True, "") if "awd-lstm-lm itself" in group.cases]
    assert len(with_it) == 1 and with_it[0].startswith("training step of awd_lstm_ptb")


def test_a_folder_without_the_code_of_a_peer_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--quick", "--peer", str(tmp_path)])
    assert f"{tmp_path} contains neither awd-lstm-lm (model.py, " in capsys.readouterr().err


def test_a_pattern_without_a_group_is_an_error(capsys):
    with pytest.raises(SystemExit):
        main(["--quick", "--only", "no such thing"])
    assert "no group's name matches 'no such thing'" in capsys.readouterr().err
