"""All files of an export are written, or none."""

from pathlib import Path

import pytest

from lm_plugins.errors import Refused
from lm_plugins.exporting import files
from lm_plugins.exporting.files import write_files


@pytest.fixture
def untraced(monkeypatch):
    """Write a file without tracing a model."""
    monkeypatch.setattr(files, "write_onnx", lambda decoder, form, level, path: path.write_text(level))
    monkeypatch.setattr(files, "Session", Path)


def test_the_sentencepiece_model_is_next_to_the_file(untraced, monkeypatch, tmp_path):
    monkeypatch.setattr(files, "check_agreement", lambda decoder, session: 1e-7)
    pieces = tmp_path / "sentencepiece.model"
    pieces.write_text("pieces")
    result = write_files(None, tmp_path / "lm.onnx", form="step", level="sentencepiece", sentencepiece=pieces)
    assert (tmp_path / "lm.sentencepiece.model").read_text() == "pieces"
    assert (tmp_path / "lm.onnx").read_text() == "sentencepiece"
    assert result["files"] == {str(tmp_path / "lm.onnx"): {"bytes": len("sentencepiece")}}
    assert len(list(tmp_path.iterdir())) == 3


def test_a_file_that_differs_from_torch_is_not_written(untraced, monkeypatch, tmp_path):
    def differs(decoder, session):
        raise Refused("it differs")

    monkeypatch.setattr(files, "check_agreement", differs)
    (tmp_path / "lm.onnx").write_text("the one before")
    with pytest.raises(Refused, match="it differs"):
        write_files(None, tmp_path / "lm.onnx", form="step", level="word")
    assert [path.name for path in tmp_path.iterdir()] == ["lm.onnx"]
    assert (tmp_path / "lm.onnx").read_text() == "the one before"
