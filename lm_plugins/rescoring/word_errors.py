"""Count the word errors of hypotheses: substitutions, deletions and insertions, with the package jiwer."""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from lm_plugins.errors import Refused
from lm_plugins.rescoring.nbest import NBest
from lm_plugins.rescoring.totals import padded


class WordErrors(NamedTuple):
    """The word errors of the hypotheses of U lists.

    Args:
        errors: of each hypothesis, [U, N]; inf where a list has fewer
        words: number of words of all references
    """

    errors: ndarray
    words: int

    def rate(self, chosen: ndarray) -> float:
        """Return the word error rate in percent of one hypothesis of each list, by index [U]."""
        return 100 * float(np.take_along_axis(self.errors, chosen[:, None], 1).sum()) / self.words

    @property
    def oracle(self) -> float:
        """Return the lowest word error rate that the lists allow, in percent."""
        return self.rate(self.errors.argmin(1))


def check_package() -> None:
    """Check that the optional package jiwer is installed.

    Raises:
        Refused: it is not
    """
    try:
        import jiwer  # noqa: F401
    except ImportError as error:
        raise Refused("word errors need the package jiwer: run pip install '.[rescore]'") from error


def word_errors(lists: list[NBest], references: list[str]) -> WordErrors:
    """Return the word errors of all hypotheses, in words that white space of any kind separates.

    Args:
        references: the reference of each list
    """
    from jiwer import process_words

    pairs = [
        (one_space(reference), one_space(hypothesis.text))
        for nbest, reference in zip(lists, references, strict=True)
        for hypothesis in nbest.hypotheses
    ]
    output = process_words([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    errors = np.array([sum(map(_errors, chunks)) for chunks in output.alignments])
    ends = np.cumsum([len(nbest.hypotheses) for nbest in lists])[:-1]
    return WordErrors(padded(np.split(errors, ends), np.inf), sum(len(text.split()) for text in references))


def one_space(text: str) -> str:
    """Return the words of `text` with a space between two of them, the only separator that jiwer knows."""
    return " ".join(text.split())


def _errors(chunk: Any) -> int:
    """Return the errors of a chunk of jiwer's alignment, in which all words are equal or none is."""
    if chunk.type == "equal":
        return 0
    return max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
