"""Score the lines of a text in blocks: each line from a new state, or all as one stream."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from lm_plugins.scoring.batches import BATCH_SIZE, batch_log_probs, log_probs
from lm_plugins.scoring.language_model import LanguageModel
from lm_plugins.scoring.state import TextState, beginning


class LineScore(NamedTuple):
    """The counted tokens of a line, as they are in the text, their ids, and ln p of each in nats.

    With `eos`, the last token is the ``</s>`` after the line.
    """

    symbols: list[str]
    ids: list[int]
    log_probs: Tensor
    eos: bool


class LineScorer:
    """Scores lines, in the order in which they come.

    Args:
        lm: a model
        eos: whether the ``</s>`` after each line is counted. It is read in any case.
        carry: each line starts from the state after the line before it; else from a zero state
        batch_size: number of lines that are scored at a time, unless they carry the state
    """

    def __init__(
        self, lm: LanguageModel, eos: bool = True, carry: bool = False, batch_size: int = BATCH_SIZE
    ) -> None:
        self.lm, self.eos, self.carry, self.batch_size = lm, eos, carry, batch_size

    def score(
        self, blocks: Iterable[list[str]], progress: Callable[[int], object] = lambda lines: None
    ) -> Iterator[LineScore]:
        """Yield the score of each line of `blocks`; call `progress` with the number of newly scored lines.

        Raises:
            Refused: a line holds a symbol that never occurs in a corpus, or a probability is zero or NaN
        """
        encoder, state = self.lm.encoder, beginning(self.lm.decoder)
        end = self.lm.dictionary.eos()
        for block in blocks:
            symbols = [encoder.symbols(line) for line in block]
            ids = [encoder.ids(line) for line in symbols]
            if self.carry:
                scored, state = self._stream([torch.tensor([*line, end]) for line in ids], state)
                progress(len(block))
            else:
                closing = [end] * self.eos
                texts = [torch.tensor([*line, *closing], dtype=torch.long) for line in ids]
                scored = log_probs(self.lm.decoder, texts, state, self.batch_size, progress)
            for line, line_ids, values in zip(symbols, ids, scored, strict=True):
                if self.eos:
                    yield LineScore([*line, "</s>"], [*line_ids, end], values, True)
                else:
                    yield LineScore(line, line_ids, values[: len(line)], False)

    def _stream(self, lines: list[Tensor], state: TextState) -> tuple[list[Tensor], TextState]:
        """Return ln p of the tokens of each line after the lines before it, and the new state."""
        (scored,), state = batch_log_probs(self.lm.decoder, [torch.cat(lines)], state)
        return list(scored.split([len(line) for line in lines])), state
