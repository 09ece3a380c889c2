"""The level of a data folder's text: whether a token is a word, a piece, a character or a byte."""

import logging
import os
from typing import Optional

from lm_plugins.data.preprocess_mark import read_mark
from lm_plugins.data.text_json import LEVELS, TEXT_JSON, read_text_json
from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)

SENTENCEPIECE = "sentencepiece.model"  # in the data folder
OF_ONE_CHARACTER = ("character", "byte", "underscore")  # bits per token are bits per character
OF_CORPUS = {  # the level of each corpus that preprocess makes, including its earlier name
    **dict.fromkeys(("ptb", "penn", "wt2", "wikitext2", "wt103", "wikitext103", "gbw"), "word"),
    **dict.fromkeys(("ptb_char", "penn_char", "text8"), "underscore"),
    "enwik8": "byte",
}


def level_of(folder: str | os.PathLike, stated: Optional[str] = None) -> str:
    """Return the level of the text in the data-bin `folder`, one of LEVELS.

    The level is never guessed from the symbols: a number may be a word, and so may a letter. A folder that
    does not record its level holds words, unless `stated` says otherwise.

    Args:
        stated: the value of ``--text-level``

    Raises:
        Refused: the folder records a level other than `stated`, or its text.json cannot be right.
    """
    recorded = recorded_level(folder)
    if stated and recorded and stated != recorded:
        raise Refused(f"{folder} records the level '{recorded}', not '{stated}': leave out --text-level")
    if recorded or stated:
        return recorded or stated
    logger.info(
        f"{folder} does not record what a token is, so each token is assumed to be a word; if it is not, "
        f"give --text-level {' or '.join(LEVELS[1:])}, or write "
        f'{{"level": "character"}} to {os.path.join(folder, TEXT_JSON)}'
    )
    return "word"


def recorded_level(folder: str | os.PathLike) -> Optional[str]:
    """Return the level that `folder` records in text.json, by its model or in ``.complete``, or None."""
    described = read_text_json(folder)
    if described is not None:
        return described["level"]
    if sentencepiece_model(folder):
        return "sentencepiece"
    return OF_CORPUS.get(corpus_of(folder))


def sentencepiece_model(folder: str | os.PathLike) -> Optional[str]:
    """Return the path of the SentencePiece model in `folder`, or None if there is none."""
    path = os.path.join(folder, SENTENCEPIECE)
    return path if os.path.exists(path) else None


def has_line_ends(folder: str | os.PathLike) -> bool:
    """Return whether the text of `folder` has ``</s>``. text8 has none, so its models never predict one."""
    return corpus_of(folder) != "text8"


def corpus_of(folder: str | os.PathLike) -> Optional[str]:
    """Return the name of the corpus in ``.complete``, which preprocess writes into `folder`; else None."""
    mark = read_mark(folder)
    inputs = mark.get("inputs", mark)
    return str(inputs["corpus"]) if isinstance(inputs, dict) and "corpus" in inputs else None
