"""Codecs between text and the symbols of a dictionary, for corpora of bytes, characters, pieces and words."""

import os
from typing import Protocol

from lm_plugins.data.level import SENTENCEPIECE
from lm_plugins.errors import Refused

SPACE = "\u2581"  # a space in preprocess.text's corpora of characters, as in SentencePiece
PRIVATE = 0xF0000  # Supplementary Private Use Area-A, which text does not use
# fairseq splits a line at any white space, so a symbol must not contain any.
WHITE_SPACE = [code for code in range(0x3001) if chr(code).isspace() and chr(code) != " "]
ESCAPES = {code: chr(PRIVATE + code) for code in (*WHITE_SPACE, ord(SPACE))}
# SentencePiece does not learn from a line with the character that it reserves for unknown ones.
RESERVED = 0x2585
PIECE_ESCAPES = {**ESCAPES, RESERVED: chr(PRIVATE + RESERVED)}
UNESCAPES = {ord(escape): chr(code) for code, escape in PIECE_ESCAPES.items()}


class Codec(Protocol):
    """A conversion between text and symbols. The symbols are in one string, separated by spaces."""

    def encode(self, text: str) -> str: ...

    def decode(self, symbols: str) -> str: ...


class Words:
    """Words separated by spaces, which are the symbols themselves."""

    def encode(self, text: str) -> str:
        return text

    def decode(self, symbols: str) -> str:
        return symbols


class Bytes:
    """Bytes as decimal codes (enwik8). An incomplete character is decoded as the replacement character."""

    def encode(self, text: str) -> str:
        return " ".join(str(byte) for byte in text.encode())

    def decode(self, symbols: str) -> str:
        return bytes(int(code) for code in symbols.split() if code.isdecimal()).decode(errors="replace")


class Letters:
    """Single characters of the Penn Treebank and text8, with an underscore for white space."""

    def encode(self, text: str) -> str:
        return " ".join("_" if character.isspace() else character for character in text)

    def decode(self, symbols: str) -> str:
        return "".join(symbols.split()).replace("_", " ")


class Characters:
    """Single characters. A space is encoded as SPACE; other white space is escaped."""

    def encode(self, text: str) -> str:
        return " ".join(text.translate(ESCAPES).replace(" ", SPACE))

    def decode(self, symbols: str) -> str:
        return "".join(symbols.split()).replace(SPACE, " ").translate(UNESCAPES)


class Pieces:
    """SentencePiece pieces, with the model file `path`.

    White space other than a space is escaped, and so is the character that SentencePiece reserves.

    Raises:
        Refused: there is no such file.
    """

    def __init__(self, path: str) -> None:
        import sentencepiece

        if not os.path.isfile(path):
            raise Refused(f"{path} is missing, and pieces cannot be read without it: copy it there")
        self.model = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text: str) -> str:
        return " ".join(self.model.encode(text.translate(PIECE_ESCAPES), out_type=str))

    def decode(self, symbols: str) -> str:
        return self.model.decode(symbols.split()).translate(UNESCAPES)

    def pieces(self) -> list[str]:
        """Return all pieces that an encoded text can contain."""
        ids = range(self.model.get_piece_size())
        return [
            self.model.id_to_piece(i)
            for i in ids
            if not (self.model.is_control(i) or self.model.is_unknown(i))
        ]


def text_codec(level: str, folder: str | os.PathLike) -> Codec:
    """Return the codec of the data-bin `folder`, whose text has the `level`.

    Raises:
        Refused: the tokens are pieces, and their model is not in the folder.
    """
    if level == "sentencepiece":
        return Pieces(os.path.join(folder, SENTENCEPIECE))
    return {"word": Words, "character": Characters, "byte": Bytes, "underscore": Letters}[level]()
