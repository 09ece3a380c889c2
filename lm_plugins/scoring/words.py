"""Put words together from pieces, characters or bytes, with the surprisal of each word.

The surprisal of a word is the sum over its tokens. A space belongs to the word after it, as in the pieces of
SentencePiece, and spaces at the end of a line belong to the word before. The surprisals of the words of a
line sum to that of the line.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lm_plugins.data.text_codec import SPACE, Codec


class Unit(NamedTuple):
    """A token or a word: its text, its surprisal -log2 p in bits, and whether it is or contains ``<unk>``."""

    text: str
    surprisal: float
    unknown: bool


def words(tokens: Sequence[Unit], level: str, codec: Codec) -> list[Unit]:
    """Return the words of a line.

    Args:
        tokens: the tokens of the line, as symbols of the codec, without the ``</s>`` at its end
        level: what a token is; see :func:`lm_plugins.data.level.level_of`
        codec: the codec of that level
    """
    if level == "word":
        return list(tokens)
    space = SPACE if level == "sentencepiece" else codec.encode(" ").strip()
    groups: list[list[Unit]] = []
    after_space = False
    for token in tokens:
        begins = token.text.startswith(space) if level == "sentencepiece" else token.text == space
        if not groups or (begins and not after_space):
            groups.append([])
        groups[-1].append(token)
        after_space = token.text == space
    if len(groups) > 1 and all(token.text == space for token in groups[-1]):
        groups[-2:] = [groups[-2] + groups[-1]]
    return [_word(group, codec) for group in groups]


def _word(tokens: Sequence[Unit], codec: Codec) -> Unit:
    """Return the word that consists of `tokens`."""
    text = codec.decode(" ".join(token.text for token in tokens)).strip()
    return Unit(text, sum(token.surprisal for token in tokens), any(token.unknown for token in tokens))
