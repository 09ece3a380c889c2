"""A trained model in Python.

from lm_plugins.hub import load

lm = load("checkpoints/checkpoint_best.pt", "data-bin/penn")
lm.score("the company said it will").log_probs
lm.sample("the company", length=50, temperature=0.8)
"""

import os
from typing import NamedTuple

import torch
from fairseq import checkpoint_utils

import lm_plugins  # noqa: F401  registers the models
from lm_plugins.data.text_codec import text_codec
from lm_plugins.errors import Refused


class Score(NamedTuple):
    """`tokens`: list of symbols; `log_probs`: ln p of each, in nats, [T]."""

    tokens: list
    log_probs: torch.Tensor

    @property
    def perplexity(self):
        return float((-self.log_probs.mean()).exp())


def load(path, data=None, device="cpu"):
    """The model of the checkpoint `path`.

    Args:
        data: folder with the dict.txt it was trained with; None: the one that the checkpoint names
        device: where it computes
    """
    if not os.path.isfile(path):
        raise Refused(f"there is no checkpoint {path}: give the path of one that exists")
    overrides = {} if data is None else {"data": str(data)}
    (model,), _, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], arg_overrides=overrides)
    return LanguageModel(model.decoder.eval().to(device), task.dictionary, task.folders[0])


class LanguageModel:
    """Scores and continues text. The state starts anew with each call, behind a ``</s>``.

    Args:
        decoder: a RecurrentDecoder in evaluation
        dictionary: its symbols
        folder: the data folder, which may hold a SentencePiece model
    """

    def __init__(self, decoder, dictionary, folder):
        self.decoder, self.dictionary = decoder, dictionary
        self.codec = text_codec(dictionary, folder)

    def encode(self, text):
        """The ids of `text`, [T], each line closed by ``</s>`` but the last."""
        lines = [
            self.dictionary.encode_line(self.codec.encode(line), append_eos=True, add_if_not_exist=False)
            for line in text.split("\n")
        ]
        return torch.cat(lines).long()[:-1]

    def decode(self, ids):
        lines, line = [], []
        for number in [*ids.tolist(), self.dictionary.eos()]:
            if number == self.dictionary.eos():
                lines.append(self.codec.decode(" ".join(line)))
                line = []
            else:
                line.append(self.dictionary[number])
        return "\n".join(lines)

    @torch.no_grad()
    def score(self, text):
        """ln p of each token of `text` given those before it."""
        ids = self.encode(text)
        if not len(ids):
            raise Refused("there is nothing to score in an empty text: give some words")
        source, target = self._after_eos(ids)[:-1], ids.unsqueeze(1).to(self._device)
        features, _, _ = self.decoder.extract_features(source)
        log_probs = -self.decoder.output_head.nll(features, target).squeeze(1)
        return Score([self.dictionary[number] for number in ids.tolist()], log_probs.cpu())

    @torch.no_grad()
    def sample(self, prefix="", length=100, temperature=1.0, top_k=0, top_p=1.0, seed=None):
        """`prefix` and `length` more tokens, as text; it goes on behind the end of a line.

        Args:
            temperature: divides the logarithms of the probabilities; 0: always the likeliest
            top_k: draw from the k likeliest only; 0: from all
            top_p: draw from the fewest likeliest whose probabilities sum to this
            seed: of the draws; None: torch's present state
        """
        if temperature < 0 or top_k < 0 or not 0 < top_p <= 1 or length < 0:
            raise Refused("sample takes length, temperature and top_k of at least 0, and 0 < top_p <= 1")
        generator = None if seed is None else torch.Generator(self._device).manual_seed(seed)
        ids = self.encode(prefix)
        features, state, _ = self.decoder.extract_features(self._after_eos(ids))
        found = []
        for _ in range(length):
            log_prob = self.decoder.output_head.log_prob(features[-1, 0])
            log_prob[[self.dictionary.pad(), self.dictionary.bos()]] = -torch.inf  # never in a text
            found.append(_draw(log_prob, temperature, top_k, top_p, generator))
            features, state, _ = self.decoder.extract_features(found[-1].view(1, 1), state)
        return self.decode(torch.cat([ids, *(number.view(1).cpu() for number in found)]))

    @property
    def _device(self):
        return next(self.decoder.parameters()).device

    def _after_eos(self, ids):
        """[1 + T, 1]"""
        return torch.cat([torch.tensor([self.dictionary.eos()]), ids]).unsqueeze(1).to(self._device)


def _draw(log_prob, temperature, top_k, top_p, generator):
    if temperature == 0:
        return log_prob.argmax()
    p, order = torch.softmax(log_prob / temperature, dim=-1).sort(descending=True)
    if top_k:
        p[top_k:] = 0
    p[p.cumsum(0) - p >= top_p * p.sum()] = 0
    return order[torch.multinomial(p, 1, generator=generator)].squeeze(0)
