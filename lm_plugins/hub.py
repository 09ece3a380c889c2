r"""Load a trained model in Python, to score and to sample text.

from lm_plugins.hub import load

lm = load("checkpoints", "data-bin/ptb")
lm.score("the company said it will\n").log_probs
lm.sample("the company", length=50, temperature=0.8)
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from fairseq import tasks
from fairseq.data import Dictionary
from omegaconf import OmegaConf
from torch import Tensor

import lm_plugins  # noqa: F401  registers the models
from lm_plugins.checkpoint_contents import read_own_checkpoint
from lm_plugins.data.text_codec import text_codec
from lm_plugins.errors import Refused
from lm_plugins.evaluation.scorers import Scorer
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.ranges import Range, at_least, check
from lm_plugins.sampling import draw
from lm_plugins.scoring.batches import BATCH_SIZE, WINDOW, batch_log_probs, log_probs
from lm_plugins.scoring.score import Score
from lm_plugins.scoring.state import TextState, initial_state
from lm_plugins.scoring.text_encoder import TextEncoder

BEST = "checkpoint_best.pt"  # what a folder of checkpoints stands for


def load(
    path: str | os.PathLike, data: str | os.PathLike | None = None, device: str | torch.device = "cpu"
) -> "LanguageModel":
    """Load a model from a checkpoint.

    The checkpoint cannot run code. The process is left as it is, also the precision of float32 matrix
    products, which a program of fairseq sets for --float32-matmul: on many CPUs
    ``torch.set_float32_matmul_precision("medium")`` is faster.

    Args:
        path: a checkpoint, or a folder that holds a checkpoint_best.pt
        data: folder with the dict.txt of the training data; None: the folder that the checkpoint names
        device: where the model computes, such as "cpu" or "cuda:0"

    Raises:
        Refused: there is no such checkpoint, device or data folder, or the checkpoint holds another model
    """
    path = os.path.join(path, BEST) if os.path.isdir(path) else os.fspath(path)
    check_device(device)
    checkpoint = read_own_checkpoint(path)
    cfg = OmegaConf.create(checkpoint["cfg"], flags={"allow_objects": True})
    if data is not None:
        cfg.task.data = os.fspath(data)
    task = tasks.setup_task(cfg.task, from_checkpoint=True)
    model = task.build_model(cfg.model, from_checkpoint=True)
    model.load_state_dict(checkpoint["model"], strict=True, model_cfg=cfg.model)
    return LanguageModel(model.decoder.eval().to(device), task.dictionary, task.folders[0], task.level)


def check_device(device: str | torch.device) -> None:
    """Refuse a device that this machine or this torch does not have.

    Raises:
        Refused: no tensor can be made on it
    """
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError) as error:
        raise Refused(
            f"the device '{device}' cannot be used here ({str(error).splitlines()[0]}): give device='cpu', "
            "or install a torch that has it"
        ) from error


class LanguageModel:
    """Score and continue text. Each text starts from a zero state, after a ``</s>``.

    Args:
        decoder: a RecurrentDecoder in evaluation
        dictionary: its symbols
        folder: the data folder, which may hold a SentencePiece model
        level: what a token is; see :func:`lm_plugins.data.level.level_of`
    """

    def __init__(self, decoder: RecurrentDecoder, dictionary: Dictionary, folder: str, level: str) -> None:
        self.decoder, self.dictionary, self.level = decoder, dictionary, level
        self.encoder = TextEncoder(dictionary, text_codec(level, folder))

    def encode(self, text: str, eos: bool = False) -> Tensor:
        """Return the ids of `text`, [T]. Each newline becomes a ``</s>``; `eos` adds one at the end.

        Raises:
            Refused: `text` is no str, or holds a symbol that never occurs in a corpus
        """
        return self.encoder.encode(text, eos)

    def decode(self, ids: Tensor) -> str:
        """Return the text of `ids` [T], with a newline for each ``</s>``."""
        return self.encoder.decode(ids)

    def score(
        self,
        text: str | Sequence[str],
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
            state: the ``state`` of the score of what comes before `text`; None: a zero state, after ``</s>``
            batch_size: number of texts that are scored at a time

        Returns:
            a :class:`Score`, or a list of them in the order of the texts

        Raises:
            Refused: a text is no str or holds a symbol that never occurs in a corpus, or a probability is
                zero or NaN
        """
        start = self._beginning() if state is None else state
        if isinstance(text, str):
            return self._score_one(self.encode(text, eos), start, scorer)
        check("batch_size", batch_size, at_least(1))
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

    def nll(self, text: str | Sequence[str], **options: Any) -> float | list[float]:
        """Return -ln p of a text, or of each text of a list, in nats; see :meth:`score` for the options."""
        scores = self.score(text, **options)
        return scores.nll if isinstance(scores, Score) else [score.nll for score in scores]

    def _beginning(self) -> TextState:
        """Return the state at the beginning of a text."""
        return initial_state(self.dictionary.eos(), 1, self._device)

    @torch.no_grad()
    def sample(
        self,
        prefix: str = "",
        length: int = 100,
        temperature: float = 1.0,
        top_k: int = 0,
        top_p: float = 1.0,
        seed: int | None = None,
    ) -> str:
        """Return `prefix` and `length` more tokens as text. Sampling continues after the end of a line.

        Args:
            prefix: the beginning of the text
            length: number of tokens to draw
            temperature: divides the log-probabilities; 0: always take the most likely token
            top_k: draw from the k most likely tokens only; 0: from all
            top_p: draw from the smallest set of tokens whose probabilities sum to this
            seed: of the draws; None: use torch's global generator

        Raises:
            Refused: a number is out of range, or the model's probabilities are NaN
        """
        for name, value, allowed in (
            ("length", length, at_least(0)),
            ("temperature", temperature, at_least(0)),
            ("top_k", top_k, at_least(0)),
            ("top_p", top_p, Range(0, 1, above=True)),
        ):
            check(name, value, allowed)
        generator = None if seed is None else torch.Generator(self._device).manual_seed(seed)
        ids = self.encode(prefix)
        features, state, _ = self.decoder.extract_features(self._after_eos(ids))
        drawn = []
        for _ in range(length):
            log_prob = self.decoder.output_head.log_prob(features[-1, 0])
            if log_prob.isnan().any():
                raise Refused("the model assigns a token the probability NaN: use an earlier checkpoint")
            log_prob[[self.dictionary.pad(), self.dictionary.bos()]] = -torch.inf  # never in a text
            drawn.append(draw(log_prob, temperature, top_k, top_p, generator))
            features, state, _ = self.decoder.extract_features(drawn[-1].view(1, 1), state)
        return self.decode(torch.cat([ids, *(token.view(1).cpu() for token in drawn)]))

    @property
    def _device(self) -> torch.device:
        return next(self.decoder.parameters()).device

    def _after_eos(self, ids: Tensor) -> Tensor:
        """Return `ids` [T] after a </s>, as the source of one stream, [1 + T, 1]."""
        return torch.cat([torch.tensor([self.dictionary.eos()]), ids]).unsqueeze(1).to(self._device)
