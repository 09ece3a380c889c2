"""examples/gru_plugin, used by somebody who has installed lm_plugins, and the page that explains it."""

import importlib.util
import re
import subprocess

import pytest
import torch
from torch import nn

from lm_plugins.ops.resets import Resets
from tests.helpers.checkpoints import same_weights
from tests.helpers.runner import ROOT
from tests.helpers.typed_commands import typed_commands

EXAMPLES = ROOT / "examples"
PAGE = ROOT / "docs/extending.md"
SNIPPET = re.compile(r"^```python\n# (examples/\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIZES = (
    "--decoder-embed-dim 12 --decoder-hidden-size 16 --batch-size 4 --tokens-per-sample 10 --cpu "
    "--no-progress-bar --save-interval 1"
)


@pytest.fixture(scope="module")
def gru():
    """Return the module gru_layer, without importing the plug-in, which would register it here."""
    spec = importlib.util.spec_from_file_location("gru_layer", EXAMPLES / "gru_plugin/gru_layer.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def layer(gru):
    return gru.GRULayer(5, 4, weight_dropout=0.5).double()


@pytest.fixture
def x():
    return torch.randn(6, 3, 5, dtype=torch.float64)


def test_the_layer_is_that_of_torch(layer, x):
    torchs = nn.GRU(5, 4).double()
    torchs.load_state_dict(
        {
            "weight_ih_l0": layer.input.weight,
            "bias_ih_l0": layer.input.bias,
            "weight_hh_l0": layer.recurrent.weight,
            "bias_hh_l0": layer.recurrent.bias,
        }
    )
    y, state = layer.eval()(x)
    expected, last = torchs(x)
    torch.testing.assert_close((y, state.h), (expected, last[0]), rtol=0, atol=1e-14)


def test_the_layer_keeps_the_contract(gru, layer, x):
    layer.eval()
    y, last = layer(x)
    first, state = layer(x[:4])
    second, end = layer(x[4:], state)
    assert isinstance(state, gru.GRUState)
    assert torch.equal(torch.cat([first, second]), y) and torch.equal(end.h, last.h)
    mask = torch.zeros(6, 3, dtype=torch.bool)
    mask[4] = True
    torch.testing.assert_close(layer(x, None, Resets(mask))[0][4:], layer(x[4:])[0], rtol=0, atol=1e-14)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.float()(x.bfloat16())[1].h.dtype == torch.float32


def test_the_plug_in_trains_resumes_and_evaluates_from_any_folder(data_bin, tmp_path):
    commands = f"""
        train="fairseq-train {data_bin} --user-dir {EXAMPLES}/gru_plugin --arch gru_ptb {SIZES}"
        $train --max-update 60 --save-dir whole
        $train --max-update 40 --save-dir parts --save-interval-updates 40 > first.log
        $train --max-update 60 --save-dir parts > second.log
        fairseq-eval-lm {data_bin} --user-dir {EXAMPLES}/gru_plugin --path whole/checkpoint_best.pt > eval.log
        fairseq-train --user-dir {EXAMPLES}/gru_plugin --arch gru_ptb --help > help.log
        """
    (tmp_path / "elsewhere").mkdir()
    with typed_commands(tmp_path / "bin"):
        shell = subprocess.run(
            ["bash", "-eu"], input=commands, cwd=tmp_path / "elsewhere", capture_output=True, text=True,
            env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)},
        )  # fmt: skip
    logs = {path.stem: path.read_text() for path in (tmp_path / "elsewhere").glob("*.log")}
    assert shell.returncode == 0, shell.stdout[-2000:] + shell.stderr[-2000:] + logs.get("eval", "")[-2000:]
    assert "--criterion self_normalised" in shell.stdout
    assert "Loaded checkpoint" in logs["second"]
    folder = tmp_path / "elsewhere"
    assert same_weights(folder / "whole/checkpoint_last.pt", folder / "parts/checkpoint_last.pt")
    assert float(logs["eval"].rsplit("Perplexity: ", 1)[1].split()[0]) < 66
    assert "--self-norm-alpha" in logs["help"]


def test_the_snippets_of_the_page_are_in_the_files():
    snippets = SNIPPET.findall(PAGE.read_text())
    assert len(snippets) >= 5
    for path, code in snippets:
        assert code in (ROOT / path).read_text(), f"{path} has no longer:\n{code}"


def test_every_file_of_the_example_is_on_the_page():
    named = {path for path, _ in SNIPPET.findall(PAGE.read_text())}
    assert named == {str(path.relative_to(ROOT)) for path in (EXAMPLES / "gru_plugin").rglob("*.py")}
