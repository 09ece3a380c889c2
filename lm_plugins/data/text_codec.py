"""Codecs between text and the symbols of a dictionary, for corpora of bytes, characters, pieces and words."""

import os
from typing import Protocol

from fairseq.data import Dictionary

from lm_plugins.data.dictionary import is_character_level
from lm_plugins.data.text_sizes import read_text_json

MODEL = "sentencepiece.model"  # in the data folder
SPACE = "\u2581"  # a space in preprocess.text's corpora of characters, as in SentencePiece
PRIVATE = 0xF0000  # Supplementary Private Use Area-A, which text does not use
# fairseq splits a line at any white space, so a symbol must not contain any.
WHITE_SPACE = [code for code in range(0x3001) if chr(code).isspace() and chr(code) != " "]
ESCAPES = {code: chr(PRIVATE + code) for code in (*WHITE_SPACE, ord(SPACE))}
UNESCAPES = {ord(escape): chr(code) for code, escape in ESCAPES.items()}


class Codec(Protocol):
    """Symbols are in one string, separated by spaces."""

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
    """SentencePiece pieces, with the model file `path`. White space other than a space is escaped."""

    def __init__(self, path: str) -> None:
        import sentencepiece

        self.model = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text: str) -> str:
        return " ".join(self.model.encode(text.translate(ESCAPES), out_type=str))

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


def text_codec(dictionary: Dictionary, folder: str) -> Codec:
    """Return the codec of the data-bin `folder` with this `dictionary`.

    The level of the text is in text.json. Without that file it follows from the symbols.
    """
    model, described = os.path.join(folder, MODEL), read_text_json(folder)
    if described is not None:
        level = described["level"]
        return (
            {"word": Words, "character": Characters}[level]() if level != "sentencepiece" else Pieces(model)
        )
    if os.path.exists(model):
        return Pieces(model)
    if is_character_level(dictionary):
        words = dictionary.symbols[dictionary.nspecial :]
        several = any(len(word) > 1 and not word.startswith("madeupword") for word in words)
        if several:
            return Bytes()
        return Characters() if SPACE in words else Letters()
    return Words()
