"""From text to the symbols of a dictionary and back, for corpora of bytes, characters, pieces and words."""

import os

from lm_plugins.data.dictionary import is_character_level

MODEL = "sentencepiece.model"  # beside dict.txt
SPACE = "\u2581"  # white space in preprocess.text's corpora of characters, as in SentencePiece


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


class Characters:
    """Single characters; white space is written as `space`."""

    def __init__(self, space):
        self.space = space

    def encode(self, text):
        return " ".join(self.space if character.isspace() else character for character in text)

    def decode(self, symbols):
        return "".join(symbols.split()).replace(self.space, " ")


class Pieces:
    """SentencePiece, with the model that lies in the data folder."""

    def __init__(self, path):
        import sentencepiece

        self.model = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode(self, text):
        return " ".join(self.model.encode(text, out_type=str))

    def decode(self, symbols):
        return self.model.decode(symbols.split())


def text_codec(dictionary, folder):
    """The codec of the data-bin `folder` with this `dictionary`."""
    model = os.path.join(folder, MODEL)
    if os.path.exists(model):
        return Pieces(model)
    if is_character_level(dictionary):
        words = dictionary.symbols[dictionary.nspecial :]
        several = any(len(word) > 1 and not word.startswith("madeupword") for word in words)
        if several:
            return Bytes()
        return Characters(SPACE if SPACE in words else "_")  # "_": Penn Treebank, text8
    return Words()
