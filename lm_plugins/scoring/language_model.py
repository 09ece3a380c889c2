"""A trained model for use from Python: it scores, continues and reads text."""

from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.data.text_codec import text_codec
from lm_plugins.errors import Refused
from lm_plugins.evaluation.scorers import Scorer
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.ranges import Range, at_least, between, check, whole
from lm_plugins.sampling import draw
from lm_plugins.scoring.batches import BATCH_SIZE, batch_log_probs, log_probs
from lm_plugins.scoring.reading import WINDOW, read
from lm_plugins.scoring.sampler import sample
from lm_plugins.scoring.score import Score
from lm_plugins.scoring.state import TextState, beginning
from lm_plugins.scoring.text_encoder import TextEncoder

SEEDS = Range(-(2**63), 2**64 - 1)  # of torch's generators


def are_several(texts: Any) -> bool:
    """Return whether `texts` is a list or another iterable of texts, rather than one text."""
    return isinstance(texts, Iterable) and not isinstance(texts, str | bytes)


class LanguageModel:
    """Score and continue text. Each text starts from a zero state, after a ``</s>``.

    Args:
        decoder: a RecurrentDecoder in evaluation
        dictionary: its symbols
        folder: the data folder, which may hold a SentencePiece model
        level: what a token is; see :func:`lm_plugins.data.level.level_of`
    """

    def __init__(self, decoder: RecurrentDecoder, dictionary: Dictionary, folder: str, level: str) -> None:
        self.decoder, self.dictionary, self.folder, self.level = decoder, dictionary, folder, level
        self.encoder = TextEncoder(dictionary, text_codec(level, folder))
        self._never = [dictionary.pad(), dictionary.bos()]  # ids that occur in no text

    def __repr__(self) -> str:
        count = sum(parameter.numel() for parameter in self.decoder.parameters())
        return (
            f"LanguageModel({len(self.dictionary):,} symbols of the level '{self.level}', {count:,} "
            f"parameters, on {self._device})"
        )

    def encode(self, text: str, eos: bool = False) -> Tensor:
        """Return the ids of `text`, [T]. Each newline becomes a ``</s>``; `eos` adds one at the end.

        Raises:
            Refused: `text` is not a str, or holds a symbol that never occurs in a corpus
        """
        return self.encoder.encode(text, eos)

    def decode(self, ids: Tensor) -> str:
        """Return the text of `ids` [T], with a newline for each ``</s>``."""
        return self.encoder.decode(ids)

    def score(
        self,
        text: str | Iterable[str],
        scorer: Scorer | None = None,
        *,
        eos: bool = False,
        state: TextState | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> Score | list[Score]:
        r"""Return ln p of each token of `text` given the tokens before it.

        A ``</s>`` is scored where `text` has a newline, and with `eos` at its end. ``"a b\n"``, or ``"a b"``
        with `eos`, has one token more than ``"a b"``: the end of the sentence.

        The texts of a list are scored in batches of similar length, each from the same state. A long text is
        read in windows, so that memory does not grow with its length.

        Args:
            text: one text, or a list of them
            scorer: scores with a neural cache or dynamic evaluation (:mod:`lm_plugins.evaluation.scorers`),
                and keeps what it has seen from text to text; None: scores with the model alone
            eos: whether to score a ``</s>`` after each text
            state: the ``state`` of the score of the text before `text`; None: a zero state, after ``</s>``
            batch_size: number of texts that are scored at a time

        Returns:
            a :class:`Score`, or a list of them in the order of the texts

        Raises:
            Refused: a text is not a str or holds a symbol that never occurs in a corpus, or a probability
                is zero or NaN
        """
        start = self._start(state)
        if not are_several(text):
            return self._score_one(self.encode(text, eos), start, scorer)
        batch_size = whole("batch_size", batch_size, at_least(1))
        ids = [self.encode(one, eos) for one in text]
        if scorer is not None:
            return [self._score_one(one, start, scorer)._replace(state=None) for one in ids]
        scored = log_probs(self.decoder, ids, start, batch_size)
        return [Score(self.encoder.tokens(one), values) for one, values in zip(ids, scored, strict=True)]

    def _score_one(self, ids: Tensor, state: TextState, scorer: Scorer | None) -> Score:
        """Return the score of `ids` [T], in one window if there is a scorer, which may learn from it."""
        if not len(ids):
            return Score([], torch.empty(0), state)
        window = WINDOW if scorer is None else len(ids)
        (scored,), state = batch_log_probs(self.decoder, [ids], state, window, scorer)
        return Score(self.encoder.tokens(ids), scored, state)

    def nll(self, text: str | Iterable[str], **options: Any) -> float | list[float]:
        """Return -ln p of a text, or of each text of a list, in nats; see :meth:`score` for the options."""
        scores = self.score(text, **options)
        return scores.nll if isinstance(scores, Score) else [score.nll for score in scores]

    def sample(
        self,
        prefix: str | Iterable[str] = "",
        length: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
        unknown: bool = True,
    ) -> str | list[str]:
        """Return `prefix` and `length` more tokens as text. Sampling continues after the end of a line.

        The texts of a list are drawn together, which is faster than one after another.

        Args:
            prefix: the beginning of the text, or of each text of a list
            length: number of tokens to draw
            temperature: divides the log-probabilities; 0: always take the most likely token
            top_k: draw from the k most likely tokens only; 0: from all
            top_p: draw from the smallest set of tokens whose probabilities sum to this
            seed: of the draws; None: use torch's global generator
            unknown: whether ``<unk>`` may be drawn

        Returns:
            a text, or a list of them

        Raises:
            Refused: a number is out of range, or the model's probabilities are NaN
        """
        length, top_k = whole("length", length, at_least(0)), whole("top_k", top_k, at_least(0))
        check("temperature", temperature, at_least(0))
        check("top_p", top_p, Range(0, 1, above=True))
        seed = None if seed is None else whole("seed", seed, SEEDS)
        several = are_several(prefix)
        texts = list(prefix) if several else [prefix]
        if not texts:
            return []
        generator = None if seed is None else torch.Generator(self._device).manual_seed(seed)
        drawing = partial(draw, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
        never = self._never if unknown else [*self._never, self.dictionary.unk()]
        ids = [self.encode(text) for text in texts]
        more = sample(self.decoder, ids, length, drawing, never)
        texts = [self.decode(torch.cat(both)) for both in zip(ids, more, strict=True)]
        return texts if several else texts[0]

    @torch.no_grad()
    def next(self, text: str, k: int = 10, state: TextState | None = None) -> list[tuple[str, float]]:
        """Return the k most likely tokens after `text` with their probabilities, the most likely first.

        ``<pad>`` and ``<s>``, which occur in no text, are left out.

        Args:
            text: a text; "" for the beginning of a text, or for the tokens directly after `state`
            k: number of tokens, at most V - 2
            state: as in :meth:`score`

        Raises:
            Refused: `k` is out of range
        """
        k = whole("k", k, between(1, len(self.dictionary) - len(self._never)))
        features = self._read(text, state)
        p = self.decoder.output_head.log_prob(features[-1]).exp()
        p, tokens = p.index_fill(0, torch.tensor(self._never, device=p.device), 0).topk(k)
        return list(zip(self.encoder.tokens(tokens), p.tolist(), strict=True))

    def features(self, text: str, state: TextState | None = None) -> Tensor:
        """Return the output of the last layer after each token of `text`, [T, C], on the CPU.

        Args:
            text: T tokens
            state: as in :meth:`score`
        """
        return self._read(text, state)[1:].cpu()

    def _read(self, text: str, state: TextState | None) -> Tensor:
        """Return the output of the last layer after the token before `text` and each of its T, [1 + T, C]."""
        layers, last = self._start(state)
        source = torch.cat([last, self.encode(text).to(last.device)])
        return read(self.decoder, source.unsqueeze(1), layers)[0].squeeze(1)

    def _start(self, state: TextState | None) -> TextState:
        """Return `state`, or the state at the beginning of a text.

        Raises:
            Refused: it is not the state of one text
        """
        if state is None:
            return beginning(self.decoder)
        if not isinstance(state, TextState) or len(state.last) != 1:
            raise Refused("a state is that of one text: give the .state of a score, or rows of it by .select")
        return state

    @property
    def _device(self) -> torch.device:
        return next(self.decoder.parameters()).device
