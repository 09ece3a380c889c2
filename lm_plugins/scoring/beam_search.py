"""The interface of a model to a beam search: ln p of every next token of a batch of hypotheses."""

import torch
from torch import Tensor

from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.scoring.state import Layers, select, zeros


class BeamScorer:
    """Scores the hypotheses of a search, one token at a time::

        state = scorer.initial_state(1)
        log_prob, state = scorer.step(torch.tensor([eos]), state)  # of the first token of a text
        ...
        state = scorer.select(state, index)  # the rows of the hypotheses that the search keeps
        log_prob, state = scorer.step(tokens, state)  # the new token of each kept hypothesis

    The states are not changed in place, so a search may return to one. The state of a text that
    :meth:`~lm_plugins.hub.LanguageModel.score` has read, ``score.state``, starts a search after it:
    ``scorer.step(score.state.last, score.state.layers)``.

    Args:
        decoder: a model in evaluation
    """

    def __init__(self, decoder: RecurrentDecoder) -> None:
        self.decoder = decoder

    def initial_state(self, batch_size: int = 1) -> Layers:
        """Return the state of `batch_size` hypotheses before they read ``</s>``."""
        return zeros(self.decoder, batch_size)

    @torch.no_grad()
    def step(self, tokens: Tensor, state: Layers) -> tuple[Tensor, Layers]:
        """Read a token of each hypothesis.

        Args:
            tokens: ids, [B]; those of ``</s>`` at the beginning of a text
            state: the state before them

        Returns:
            (ln p of each token that may follow, in nats, [B, V]; the state after `tokens`)
        """
        features, state, _ = self.decoder.extract_features(tokens.unsqueeze(0), state)
        return self.decoder.output_head.log_prob(features[0]), state

    def select(self, state: Layers, index: Tensor) -> Layers:
        """Return the states of the hypotheses `index` [N]; an index may occur more than once."""
        return select(state, index)
