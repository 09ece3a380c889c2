"""Compute ln p of hypotheses under a language model."""

from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.rescoring.nbest import NBest
from lm_plugins.scoring.score import Score

CHUNK = 2048  # texts between two reports of progress


class Model(Protocol):
    """A language model: a LanguageModel, or an Ensemble of several."""

    def encode(self, text: str, eos: bool = False) -> Tensor:
        """Return the ids of `text`, [T]."""

    def score(self, text: list[str], *, eos: bool, batch_size: int) -> list[Score]:
        """Return the score of each text."""


class LanguageScores:
    """ln p of hypotheses, each from a zero state.

    Args:
        model: the language model
        batch_size: number of hypotheses that are scored at a time
        eos: ln p includes that of the ``</s>`` after the hypothesis
    """

    def __init__(self, model: Model, batch_size: int, eos: bool = True) -> None:
        self.model, self.batch_size, self.eos = model, batch_size, eos
        self.tokens, self.unknown = 0, 0  # so far

    def log_probs(
        self, lists: Sequence[NBest], progress: Callable[[int], object] = lambda count: None
    ) -> list[list[float]]:
        """Return ln p of each hypothesis in nats; a text that occurs twice is scored once.

        Raises:
            Refused: a hypothesis cannot be scored; the message names its line
        """
        lines = {h.text: h.line for nbest in reversed(lists) for h in reversed(nbest.hypotheses)}
        texts, scored = sorted(lines, key=len), {}
        for text in texts:
            self._check(text, lines[text])
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            for text, score in zip(
                chunk, self.model.score(chunk, eos=self.eos, batch_size=self.batch_size), strict=True
            ):
                scored[text] = score.log_prob
                self.tokens += len(score.tokens)
                self.unknown += score.unknown
            progress(len(chunk))
        return [[scored[hypothesis.text] for hypothesis in nbest.hypotheses] for nbest in lists]

    def _check(self, text: str, line: str) -> None:
        """Refuse a text that cannot be encoded, with its line."""
        try:
            self.model.encode(text, eos=True)
        except Refused as error:
            raise Refused(f"{line}: {error}") from error
