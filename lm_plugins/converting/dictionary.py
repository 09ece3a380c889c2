"""Turn another project's vocabulary into a dictionary of fairseq, which begins with four special symbols.

Each row of the other model is copied to the row of the same symbol. A special symbol that the other model
lacks, such as <pad>, gets an embedding of 0 and an output bias of -10,000. In float32 exp(-10,000) is 0, so
the symbol adds nothing to the sum over the vocabulary, and ln p of all other symbols is unchanged.
"""

from typing import NamedTuple

import torch
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.converting.vocabulary import Vocabulary
from lm_plugins.errors import Refused

NAMES = {  # fairseq's special symbols -> the names that other projects give them
    "<s>": ("<s>",),
    "<pad>": ("<pad>", "xxpad", "_pad_"),
    "</s>": ("<eos>", "</s>", "xxbos", "xbos"),  # fastai separates two texts by xxbos
    "<unk>": ("<unk>", "xxunk", "_unk_"),
}
FILLER = "xxfake"  # fastai pads its vocabulary with it to a multiple of 8, so it may occur several times
ABSENT_BIAS = -1e4


class Reordering(NamedTuple):
    """A dictionary of ours, and for each of its symbols the index in the other vocabulary, or -1."""

    dictionary: Dictionary
    index: Tensor  # [V'] int64
    absent: list[str]  # special symbols that the other vocabulary lacks

    def rows(self, table: Tensor, absent: float = 0.0) -> Tensor:
        """Return `table` [V, ...] in our order, [V', ...]; the rows of absent symbols are `absent`."""
        rows = table[self.index.clamp(min=0)].clone()
        rows[self.index < 0] = absent
        return rows


def reorder(vocabulary: Vocabulary, cutoffs: list[int]) -> tuple[Reordering, list[int]]:
    """Return our dictionary, and `cutoffs` in its order.

    The special symbols come first, and all others keep their order. With cutoffs the counts are all 1: the
    words are sorted by cluster, not always by frequency, which an adaptive softmax would refuse.

    Raises:
        Refused: a symbol occurs twice, or a special symbol is in a tail of an adaptive softmax
    """
    symbols = renamed(vocabulary.symbols)
    special = {name: next((s for s in theirs if s in symbols), None) for name, theirs in NAMES.items()}
    index = [symbols[theirs] if theirs else -1 for theirs in special.values()]
    if cutoffs and max(index) >= cutoffs[0]:
        raise Refused(
            "a special symbol of the vocabulary is not among the frequent words of the split softmax, where "
            "fairseq needs it: such a model cannot be converted"
        )
    taken = {theirs for theirs in special.values() if theirs}
    dictionary = Dictionary()
    for symbol, row in symbols.items():
        if symbol in taken:
            continue
        if symbol in dictionary:
            raise Refused(f"the vocabulary has both {symbol} and {special[symbol]}: rename one of them")
        count = 1 if cutoffs or vocabulary.counts is None else vocabulary.counts[row]
        dictionary.add_symbol(symbol, n=count)
        index.append(row)
    shift = len(special) - len(taken)
    absent = [name for name, theirs in special.items() if not theirs]
    return Reordering(dictionary, torch.tensor(index), absent), [cutoff + shift for cutoff in cutoffs]


def renamed(symbols: list[str]) -> dict[str, int]:
    """Return {symbol: index}, with white space escaped and the fillers numbered.

    Raises:
        Refused: a symbol is empty or occurs twice
    """
    result: dict[str, int] = {}
    for index, symbol in enumerate(symbols):
        name = "".join(escaped(character) for character in symbol)
        if name == FILLER and name in result:
            name = f"{FILLER}{index}"
        if not name or name in result:
            raise Refused(f"symbol {index} of the vocabulary, {symbol!r}, is empty or occurs twice")
        result[name] = index
    return result


def escaped(character: str) -> str:
    r"""Return white space as in Python, such as \n, and any other character unchanged."""
    if not character.isspace():
        return character
    return r"\x20" if character == " " else character.encode("unicode_escape").decode()
