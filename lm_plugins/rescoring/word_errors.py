"""Count the word errors of hypotheses: substitutions, deletions and insertions, by the package jiwer."""

import numpy as np
from numpy import ndarray

from lm_plugins.errors import Refused
from lm_plugins.rescoring.nbest import NBest


def check_package() -> None:
    """Refuse references where jiwer, which is optional, is not installed.

    Raises:
        Refused: it is not
    """
    try:
        import jiwer  # noqa: F401
    except ImportError as error:
        raise Refused("word errors need the package jiwer: run pip install '.[rescore]'") from error


def word_errors(lists: list[NBest], references: list[str]) -> list[ndarray]:
    """Return the number of word errors of each hypothesis, an array for each list.

    Args:
        references: the reference of each list
    """
    from jiwer import process_words

    pairs = [
        (reference, hypothesis.text)
        for nbest, reference in zip(lists, references, strict=True)
        for hypothesis in nbest.hypotheses
    ]
    output = process_words([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    errors = [sum(map(_errors, chunks)) for chunks in output.alignments]
    ends = np.cumsum([len(nbest.hypotheses) for nbest in lists])[:-1]
    return np.split(np.array(errors), ends)


def _errors(chunk: object) -> int:
    """Return the errors of a chunk of jiwer's alignment, in which all words are equal or none is."""
    if chunk.type == "equal":
        return 0
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
