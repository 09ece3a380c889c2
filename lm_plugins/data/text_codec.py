"""From text to the symbols of a dictionary and back, for corpora of bytes, characters, pieces and words."""

import os

from lm_plugins.data.dictionary import is_character_level
from lm_plugins.data.text_sizes import read_text_json

MODEL = "sentencepiece.model"  # beside dict.txt
SPACE = "\u2581"  # a space in preprocess.text's corpora of characters, as in SentencePiece
PRIVATE = 0xF0000  # Supplementary Private Use Area-A, of which text has nothing
# fairseq splits a line at white space of any kind, so that a symbol must not hold it.
WHITE_SPACE = [code for code in range(0x3001) if chr(code).isspace() and chr(code) != " "]
ESCAPES = {code: chr(PRIVATE + code) for code in (*WHITE_SPACE, ord(SPACE))}
UNESCAPES = {ord(escape): chr(code) for code, escape in ESCAPES.items()}


class Words:
    """The text is the symbols already, separated by spaces."""

    def encode(self, text):
        return text

    def decode(self, symbols):
        return symbols


class Bytes:
    """Decimal codes (enwik8); a broken character comes out as the replacement character."""

    def encode(self, text):
        return " ".join(str(byte) for byte in text.encode())

    def decode(self, symbols):
        return bytes(int(code) for code in symbols.split() if code.isdecimal()).decode(errors="replace")


class Letters:
    """Single characters of the Penn Treebank and text8, where an underscore is white space."""

    def encode(self, text):
        return " ".join("_" if character.isspace() else character for character in text)

    def decode(self, symbols):
        return "".join(symbols.split()).replace("_", " ")


class Characters:
    """Single characters; a space is SPACE, other white space is escaped."""

    def encode(self, text):
        return " ".join(text.translate(ESCAPES).replace(" ", SPACE))

    def decode(self, symbols):
        return "".join(symbols.split()).replace(SPACE, " ").translate(UNESCAPES)


class Pieces:
    """SentencePiece, with the model in the data folder; white space other than a space is escaped."""

    def __init__(self, path):
        import sentencepiece

        self.model = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text):
        return " ".join(self.model.encode(text.translate(ESCAPES), out_type=str))

    def decode(self, symbols):
        return self.model.decode(symbols.split()).translate(UNESCAPES)

    def pieces(self) -> list[str]:
        """Return all pieces that text can be encoded as."""
        numbers = range(self.model.get_piece_size())
        return [
            self.model.id_to_piece(n)
            for n in numbers
            if not (self.model.is_control(n) or self.model.is_unknown(n))
        ]


def text_codec(dictionary, folder):
    """Return the codec of the data-bin `folder` with this `dictionary`.

    text.json tells the level; without it, the symbols of the dictionary do.
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
