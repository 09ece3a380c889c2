"""python -m lm_plugins.export, and examples/onnx_lm.py, which runs its files without torch."""

import importlib.util
import json
import subprocess
import sys

import pytest
import torch

from lm_plugins import export
from lm_plugins.data import text_codec
from lm_plugins.exporting.session import Session
from lm_plugins.hub import load
from tests.helpers.runner import ROOT
from tests.helpers.saved_model import save_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")

EXAMPLES = ROOT / "examples"
WITHOUT_TORCH = "import runpy, sys; sys.modules |= {'torch': None, 'fairseq': None, 'lm_plugins': None}; "
TEXT = "w1 w2 w3 w5\nw8 never-seen w9\n"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, data_bin):
    torch.manual_seed(1)
    sizes = ("--decoder-embed-dim", "12", "--decoder-hidden-size", "12", "--memory-cells", "30")
    ranges = ("--init-range", "1", "--rnn-init-range", "0.3")  # else all probabilities are nearly equal
    return save_model(tmp_path_factory.mktemp("saved") / "lm.pt", data_bin, "cifg_small", *sizes, *ranges)


@pytest.fixture(scope="module")
def exported(checkpoint):
    """Return the folder of lm.onnx, lm.int8.onnx and result.json."""
    folder = checkpoint.parent
    files = [str(folder / "lm.onnx"), "--int8", "--tokens", "400", "--json", str(folder / "result.json")]
    export.main([str(checkpoint), *files])
    return folder


def test_results(exported, checkpoint):
    result = json.loads((exported / "result.json").read_text())
    of_float, of_int8 = result["files"].values()
    assert result["form"] == "step" and result["tokens"] == 400 and result["difference"] <= 1e-5
    assert 20 < of_float["perplexity"] < 2000
    assert of_int8["perplexity"] == pytest.approx(of_float["perplexity"], rel=0.05)
    assert of_int8["perplexity"] != of_float["perplexity"]
    assert of_int8["bytes"] < of_float["bytes"] == (exported / "lm.onnx").stat().st_size
    assert {path.name for path in exported.iterdir()} == {
        "lm.pt", "lm.onnx", "lm.int8.onnx", "result.json",
    }  # fmt: skip


def test_the_int8_model_has_its_table_once(exported):
    graph = onnx.load(str(exported / "lm.int8.onnx")).graph
    words = len(Session(exported / "lm.int8.onnx").symbols)
    tables = [tensor for tensor in graph.initializer if words in tensor.dims and len(tensor.dims) == 2]
    assert [tuple(tensor.dims) for tensor in tables] == [(words, 12)]
    assert tables[0].data_type == onnx.TensorProto.UINT8
    matrices = [tensor for tensor in graph.initializer if len(tensor.dims) == 2]
    assert all(tensor.data_type == onnx.TensorProto.UINT8 for tensor in matrices)


def run_example(path, text):
    code = WITHOUT_TORCH + "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    script = EXAMPLES / "onnx_lm.py"
    environ = {"PYTHONPATH": str(EXAMPLES), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, script, path, text],
        env=environ, cwd=path.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def test_the_example_scores_and_samples_without_torch(exported, checkpoint):
    result = run_example(exported / "lm.onnx", TEXT)
    expected = load(checkpoint).score(TEXT).log_probs
    torch.testing.assert_close(torch.tensor(result["log_probs"]), expected, rtol=0, atol=1e-5)
    assert result["sample"].startswith("w1 w2 w3 w5\nw8 <unk> w9\n")
    assert len(result["sample"].replace("\n", " </s> ").split()) == 9 + 20
    of_int8 = run_example(exported / "lm.int8.onnx", TEXT)["log_probs"]
    torch.testing.assert_close(torch.tensor(of_int8), expected, rtol=0.1, atol=0.5)


@pytest.mark.parametrize("level", ["word", "character", "underscore", "byte"])
def test_the_codecs_of_the_example(level, tmp_path):
    spec = importlib.util.spec_from_file_location("onnx_codecs", EXAMPLES / "onnx_codecs.py")
    codecs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(codecs)
    codec, line = text_codec.text_codec(level, tmp_path), "für a b"
    symbols = codecs.encode(level, line)
    assert " ".join(symbols) == codec.encode(line)
    assert codecs.decode(level, symbols) == codec.decode(" ".join(symbols)) == line


@pytest.mark.parametrize(
    "options, sentence",
    [
        (["nowhere.pt", "lm.onnx"], "there is no checkpoint nowhere.pt"),
        (["text", "lm.onnx"], "text is not a checkpoint, as it was not written by fairseq"),
        (["text", "lm.bin"], "the output lm.bin does not end in .onnx"),
        (["text", "no/lm.onnx"], "the output no/lm.onnx cannot be written (No such file or directory)"),
        (["text", "lm.onnx", "--tokens", "0"], "--tokens is 0: it must be at least 1"),
        (["text", "lm.onnx", "--valid", "text"], "--valid is the text that --int8 is measured on"),
        (["text", "lm.onnx", "--json", "no/r"], "--json no/r cannot be written"),
        (["text", "lm.onnx", "--json", "./lm.onnx"], "--json ./lm.onnx would overwrite the output"),
        (["text", "lm.onnx", "--json", "lm.int8.onnx"], "would overwrite the int8 model"),
        (["lm.pt", "lm.onnx", "--int8", "--valid", "text", "--json", "text"], "would overwrite --valid"),
        (["text", "lm.onnx", "--user-dir", "no"], "--user-dir no is not a folder"),
        (["lm.pt", "lm.onnx", "--int8", "--valid", "no"], "--valid no cannot be read"),
        (["lm.pt", "lm.onnx", "--int8", "--valid", "latin"], "--valid latin is not UTF-8 (byte 1)"),
        (["lm.pt", "lm.onnx", "--int8", "--valid", "empty"], "--valid empty is empty"),
    ],
)
def test_refusals(options, sentence, tmp_path, monkeypatch, capsys, checkpoint):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("no checkpoint")
    (tmp_path / "latin").write_bytes("für".encode("latin-1"))
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "lm.pt").symlink_to(checkpoint)
    with pytest.raises(SystemExit) as stop:
        export.main(options)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith("lm_plugins: error: ") and sentence in error
    assert error.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"text", "latin", "empty", "lm.pt"}


def test_a_missing_package(monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        export.main(["lm.pt", "lm.onnx"])
    assert "an export needs the package onnx: run pip install '.[export]'" in capsys.readouterr().err
