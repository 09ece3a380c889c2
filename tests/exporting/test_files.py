"""All files of an export are written, or none."""

from pathlib import Path

import numpy as np
import pytest

from lm_plugins.errors import Refused
from lm_plugins.exporting import files
from lm_plugins.exporting.files import write_files


class FakeSession:
    """A model of 4 words that gives each of them a probability of 1 / 4, and counts the targets."""

    symbols = ("<s>", "<pad>", "</s>", "<unk>")
    scored: list[int] = []

    def __init__(self, path: Path) -> None:
        self.scored.append(0)

    def initial_state(self, streams):
        return None

    def score(self, source, targets, state):
        assert source.shape == targets.shape
        self.scored[-1] += targets.size
        return np.full(targets.shape, -np.log(4)), state


@pytest.fixture
def untraced(monkeypatch):
    """Write a file without tracing a model."""
    monkeypatch.setattr(files, "write_onnx", lambda decoder, form, level, path: path.write_text(level))
    monkeypatch.setattr(files, "Session", FakeSession)


def test_the_sentencepiece_model_is_next_to_the_file(untraced, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "check_agreement", lambda decoder, session: 1e-7)
    pieces = tmp_path / "sentencepiece.model"
    pieces.write_text("pieces")
    result = write_files(None, tmp_path / "lm.onnx", form="step", level="sentencepiece", sentencepiece=pieces)
    assert (tmp_path / "lm.sentencepiece.model").read_text() == "pieces"
    assert (tmp_path / "lm.onnx").read_text() == "sentencepiece"
    assert result["files"] == {str(tmp_path / "lm.onnx"): {"bytes": len("sentencepiece")}}
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("given, counted", [(15, 8), (16, 16), (5, 5), (599, 592)])
def test_the_tokens_are_those_that_were_scored(untraced, monkeypatch, tmp_path, given, counted):
    """The text is read as 8 streams of equal length."""
    monkeypatch.setattr(files, "check_agreement", lambda decoder, session: 1e-7)
    monkeypatch.setattr(files, "quantize", lambda path, smaller: smaller.write_text("smaller"))
    text = np.zeros(given, dtype=np.int64)
    result = write_files(None, tmp_path / "lm.onnx", form="step", level="word", text=text)
    assert FakeSession.scored[-2:] == [counted, counted] and result["tokens"] == counted
    assert [one["perplexity"] for one in result["files"].values()] == pytest.approx([4, 4])


def test_a_file_that_differs_from_torch_is_not_written(untraced, monkeypatch, tmp_path):
    def differs(decoder, session):
        raise Refused("it differs")

    monkeypatch.setattr(files, "check_agreement", differs)
    (tmp_path / "lm.onnx").write_text("the one before")
    with pytest.raises(Refused, match="it differs"):
        write_files(None, tmp_path / "lm.onnx", form="step", level="word")
    assert [path.name for path in tmp_path.iterdir()] == ["lm.onnx"]
    assert (tmp_path / "lm.onnx").read_text() == "the one before"
