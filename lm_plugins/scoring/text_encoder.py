"""Convert text to the ids of a dictionary, and back."""

from collections.abc import Sequence

import torch
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.data.text_codec import Codec
from lm_plugins.errors import Refused


class TextEncoder:
    """The conversion between text, its symbols and their ids.

    Args:
        dictionary: the symbols of the model
        codec: the conversion between text and symbols
    """

    def __init__(self, dictionary: Dictionary, codec: Codec) -> None:
        self.dictionary, self.codec = dictionary, codec

    def encode(self, text: str, eos: bool = False) -> Tensor:
        """Return the ids of `text`, [T]. Each newline becomes a ``</s>``.

        Args:
            text: one or more lines
            eos: whether a ``</s>`` is added at the end

        Raises:
            Refused: `text` is not a str, or holds a symbol that never occurs in a corpus
        """
        if not isinstance(text, str):
            raise Refused(f"a text is a str, not a {type(text).__name__}: {text!r:.60}")
        ids: list[int] = []
        for line in text.split("\n"):
            ids += [*self.ids(self.symbols(line)), self.dictionary.eos()]
        return torch.tensor(ids if eos else ids[:-1], dtype=torch.long)

    def symbols(self, line: str) -> list[str]:
        """Return the symbols of a line as they are in the text; the dictionary may lack some of them.

        Raises:
            Refused: the line holds a symbol that never occurs in a corpus
        """
        symbols = self.codec.encode(line).split()
        for index in (self.dictionary.pad(), self.dictionary.bos()):
            if self.dictionary[index] in symbols:
                raise Refused(
                    f"the text holds the literal symbol {self.dictionary[index]}, which no corpus has: "
                    "replace it in the text"
                )
        return symbols

    def ids(self, symbols: Sequence[str]) -> list[int]:
        """Return the ids of `symbols`: that of ``<unk>`` for a symbol outside the dictionary."""
        indices, unknown = self.dictionary.indices, self.dictionary.unk()
        return [indices.get(symbol, unknown) for symbol in symbols]

    def tokens(self, ids: Tensor) -> list[str]:
        """Return the symbols of `ids` [T]."""
        symbols = self.dictionary.symbols
        return [symbols[index] for index in ids.tolist()]

    def decode(self, ids: Tensor) -> str:
        """Return the text of `ids` [T], with a newline for each ``</s>``."""
        lines, line = [], []
        for index in [*ids.tolist(), self.dictionary.eos()]:
            if index == self.dictionary.eos():
                lines.append(self.codec.decode(" ".join(line)))
                line = []
            else:
                line.append(self.dictionary[index])
        return "\n".join(lines)
