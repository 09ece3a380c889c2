"""Encode lines of text as symbols for fairseq, and check that they can be read back."""

from pathlib import Path
from typing import Any

from lm_plugins.data.level import SENTENCEPIECE
from lm_plugins.data.text_codec import Characters, Pieces, Words
from preprocess.pieces import train_pieces

SPECIAL = ("<s>", "<pad>", "</s>")


def codec_of(level: str, lines: list[str], dest: Path, options: dict[str, Any]) -> Any:
    """Return the codec of `level`; train SentencePiece on the training `lines`."""
    if level == "word":
        return Words()
    if level == "character":
        return Characters()
    train_pieces(lines, dest, options["vocab-size"], options["model-type"])
    return Pieces(str(dest / SENTENCEPIECE))


def encode(lines: list[str], codec: Any, split: str) -> list[str]:
    """Return the symbols of each line, separated by spaces; refuse a line that they do not give back."""
    encoded, exact = [codec.encode(line) for line in lines], not isinstance(codec, Words)
    for number, (line, symbols) in enumerate(zip(lines, encoded, strict=True), 1):
        special = next((symbol for symbol in symbols.split() if symbol in SPECIAL), None)
        if special:
            raise SystemExit(
                f"error: line {number} of the {split} text has the word {special}, which is a special "
                "symbol of fairseq: replace it, or give --level character"
            )
        if exact and "<unk>" not in line and codec.decode(" ".join(symbols.split())) != line:
            raise SystemExit(
                f"error: line {number} of the {split} text, which begins {line[:40]!r}, cannot be read back "
                "from its tokens: replace its rare white space or private-use characters"
            )
    return encoded
