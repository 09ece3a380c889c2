"""The files of an export: the model, an int8 model and the SentencePiece model, all of them or none."""

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from lm_plugins.errors import Refused
from lm_plugins.exporting.agreement import check_agreement
from lm_plugins.exporting.perplexity import equal_streams, perplexity
from lm_plugins.exporting.quantization import quantize
from lm_plugins.exporting.session import Session
from lm_plugins.exporting.writing import write_onnx
from lm_plugins.files import check_writable
from lm_plugins.models.recurrent_decoder import RecurrentDecoder

SUFFIX = ".onnx"
PIECES = ".sentencepiece.model"  # in place of it


def int8_path(output: Path) -> Path:
    """Return the path of the int8 model that belongs to `output`."""
    return output.with_suffix(f".int8{SUFFIX}")


def written_files(output: Path) -> dict[str, Path]:
    """Return the files that an export to `output` may write, by what they are."""
    pieces = output.with_suffix(PIECES)
    return {"the output": output, "the int8 model": int8_path(output), "the SentencePiece model": pieces}


def check_output(output: Path) -> None:
    """Refuse an `output` that cannot be written.

    Raises:
        Refused: it does not end in .onnx, or its folder is missing or cannot be written
    """
    if output.suffix != SUFFIX:
        raise Refused(f"the output {output} does not end in {SUFFIX}: give it that ending")
    check_writable(output, "the output")


def write_files(
    decoder: RecurrentDecoder,
    output: Path,
    *,
    form: str,
    level: str,
    sentencepiece: Path | None = None,
    text: np.ndarray | None = None,
) -> dict[str, Any]:
    """Write `decoder` to `output`, and return the measurements.

    Args:
        decoder: in evaluation, on a CPU
        form: STEP or WINDOW
        level: what a token is
        sentencepiece: the model that makes pieces of text, to copy next to `output`
        text: ids [N] on which an int8 model is compared with the one in float32; None: write no int8 model

    Returns:
        {"form", "difference": the largest difference from torch, "files": {path: {"bytes", "perplexity"}}};
        with a text, also the perplexities and the number of tokens that were scored, "tokens"

    Raises:
        Refused: the model cannot be exported, or the file differs from it.
    """
    # No file is moved to its place before all of them are known to be right.
    with TemporaryDirectory(prefix=".export-", dir=output.parent) as folder:
        written = {output: Path(folder, "float.onnx")}
        write_onnx(decoder, form, level, written[output])
        result: dict[str, Any] = {
            "form": form,
            "difference": check_agreement(decoder, Session(written[output])),
        }
        streams = None if text is None else equal_streams(text)
        if streams is not None:
            written[int8_path(output)] = Path(folder, "int8.onnx")
            quantize(written[output], written[int8_path(output)])
            result["tokens"] = streams.size
        result["files"] = {
            str(path): measured(temporary, path.name, streams) for path, temporary in written.items()
        }
        if sentencepiece is not None:
            copy = output.with_suffix(PIECES)
            written[copy] = Path(shutil.copy(sentencepiece, folder))
            result["sentencepiece"] = str(copy)
        for path, temporary in written.items():
            os.replace(temporary, path)
    return result


def measured(path: Path, title: str, streams: np.ndarray | None) -> dict[str, Any]:
    """Return the size of the model in the file `path`, and its perplexity on `streams` of text."""
    size = {"bytes": path.stat().st_size}
    return size if streams is None else {**size, "perplexity": perplexity(Session(path), streams, title)}
