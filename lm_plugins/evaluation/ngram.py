r"""Score a text with an n-gram model in ARPA format or in KenLM's binary format, over our dictionary.

Each line is scored separately: the history begins with ``<s>``, and ``</s>`` is scored as a word. The words
are the symbols of the dictionary. K of them, ``<unk>`` included, may be unknown to the n-gram model. They
share the probability of its ``<unk>`` equally,

    p(w | h) = p_ngram(<unk> | h) / K,

so that p sums to 1 over the dictionary. ``<s>``, ``<pad>`` and the symbols with which fairseq-preprocess pads
a dictionary are never targets, and have the probability 0. Words of the n-gram model that are not in the
dictionary keep their probability, which no target gets. That loss is logged when the model is loaded.

The file is read by the package kenlm (Heafield 2011).
"""

import logging
import math
import os
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from fairseq.data import Dictionary
from torch import Tensor

from lm_plugins.data.dictionary import padding_symbols
from lm_plugins.errors import Refused

logger = logging.getLogger(__name__)

NAT = math.log(10)  # nats of KenLM's log10 p
UNKNOWN, EOS = "<unk>", "</s>"  # as KenLM names them
ROUNDING = 0.001  # a sum of probabilities that differs from 1 by more than this is logged
QUANTISED = 0.02  # by how much the probabilities of a quantised model may sum to more than 1


class Ngram:
    """An n-gram model over the symbols of a dictionary.

    Args:
        path: a file in ARPA format or in KenLM's binary format
        dictionary: V symbols

    Raises:
        Refused: the package kenlm is not installed, the file is not such a model, or its probabilities sum
            to more than 1 + QUANTISED
    """

    def __init__(self, path: str, dictionary: Dictionary) -> None:
        self.path, self.eos = path, dictionary.eos()
        self.kenlm = _package()
        self.model = _load(self.kenlm, path)
        never = {dictionary.bos(), dictionary.pad(), *padding_symbols(dictionary)}
        self.possible = [index for index in range(len(dictionary)) if index not in never]
        self.words = [EOS if index == self.eos else symbol for index, symbol in enumerate(dictionary.symbols)]
        self.shares = torch.zeros(len(dictionary), dtype=torch.float64)  # ln of each share in <unk>'s p, [V]
        self.shares[sorted(never)] = -torch.inf
        unknown = [index for index in self.possible if self.words[index] not in self.model]
        if unknown:
            self.shares[unknown] = -math.log(len(unknown))
            for index in unknown:
                self.words[index] = UNKNOWN
        self._check(len(unknown))

    def log_prob(self, ids: Tensor) -> Tensor:
        """Return ln p of each token of a text in nats, float64 [N].

        Args:
            ids: a text from the beginning of a line, with ``</s>`` at the end of each line, [N]
        """
        state, new_state = self.begin(), self.begin()
        score, words, eos = self.model.BaseScore, self.words, self.eos
        scores = []
        for index in ids.tolist():
            scores.append(score(state, words[index], new_state))
            state, new_state = new_state, state
            if index == eos:
                self.model.BeginSentenceWrite(state)
        return torch.tensor(scores, dtype=torch.float64) * NAT + self.shares[ids.cpu()]

    def distribution(self, history: Sequence[int]) -> Tensor:
        """Return ln p of each symbol after the ids of `history`, the beginning of a line, float64 [V]."""
        state, new_state = self.begin(), self.begin()
        for index in history:
            self.model.BaseScore(state, self.words[index], new_state)
            state, new_state = new_state, state
        scores = [self.model.BaseScore(state, word, new_state) for word in self.words]
        return torch.tensor(scores, dtype=torch.float64) * NAT + self.shares

    def begin(self) -> Any:
        """Return KenLM's state at the beginning of a line."""
        state = self.kenlm.State()
        self.model.BeginSentenceWrite(state)
        return state

    def _check(self, unknown: int) -> None:
        """Compare the sum of the probabilities at the beginning of a line with 1, and log a difference."""
        total = float(self.distribution([]).exp().sum())
        if not total <= 1 + QUANTISED:
            raise Refused(
                f"the probabilities of {self.path} sum to {total:.3f} over the dictionary, so they are not a "
                "distribution: estimate the n-gram model with a method that normalises"
            )
        logger.info(
            f"{self.path}: order {self.model.order}, knows {len(self.possible) - unknown:,} of the "
            f"{len(self.possible):,} symbols of the dictionary"
        )
        if total > 1 + ROUNDING:
            logger.warning(
                f"WARNING: the probabilities of {self.path} sum to {total:.3f}, as those of a quantised "
                "model do, so perplexities are too low by about this factor: report those of the model "
                "without quantisation"
            )
        if total < 1 - ROUNDING:
            logger.warning(
                f"WARNING: {self.path} gives {1 - total:.1%} of the probability of a first word to words "
                "that are not in the dictionary, which raises its perplexity: estimate it on the text that "
                "was binarized, with <unk> for the words outside dict.txt"
            )


def _package() -> ModuleType:
    """Return the package kenlm, which is optional."""
    try:
        import kenlm
    except ImportError as error:
        raise Refused("n-gram models need the package kenlm: run pip install '.[ngram]'") from error
    return kenlm


def _load(kenlm: ModuleType, path: str) -> Any:
    """Return the n-gram model in the file `path`."""
    if not os.path.isfile(path):
        raise Refused(f"there is no n-gram model {path}: give a file in ARPA format or KenLM's binary format")
    config = kenlm.Config()
    config.show_progress, config.arpa_complain = False, kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(path, config)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[-1]  # the line before it names C++ code
        raise Refused(
            f"{path} is not an n-gram model ({reason:.200}): give a file in ARPA or KenLM's binary format"
        ) from error
