"""An adapter to ESPnet's beam search, which does not import ESPnet.

It has the methods of ESPnet's ``BatchScorerInterface``. ESPnet checks for that class too, so derive from it::

    from espnet.nets.batch_beam_search import BatchBeamSearch
    from espnet.nets.scorer_interface import BatchScorerInterface

    class LanguageModelScorer(ESPnetScorer, BatchScorerInterface):
        pass

    lm = load(checkpoint, data)
    scorers["lm"] = LanguageModelScorer(lm.decoder, lm.encoder, token_list)
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lm_plugins.errors import Refused
from lm_plugins.models.nested_state import map_tensors
from lm_plugins.scoring.beam_search import BeamScorer
from lm_plugins.scoring.state import Layers, concatenate
from lm_plugins.scoring.text_encoder import TextEncoder

BLANK, SPACE, ENDS = "<blank>", "<space>", ("<sos/eos>", "<sos>", "<eos>")  # ESPnet's symbols


class ESPnetScorer(nn.Module):
    """Scores the tokens of ESPnet's token list.

    A hypothesis begins with ``<sos/eos>``, which the model reads as ``</s>``. ``<blank>`` has ln p = -inf.

    Args:
        decoder: a model in evaluation
        encoder: its dictionary and codec
        token_list: ESPnet's tokens, in the order of their ids

    Raises:
        Refused: the dictionary of the model lacks some of the tokens
    """

    def __init__(self, decoder: nn.Module, encoder: TextEncoder, token_list: Sequence[str]) -> None:
        super().__init__()
        self.decoder, self.beam = decoder, BeamScorer(decoder)
        # ESPnet's id -> the model's
        self.register_buffer("ids", torch.tensor(model_ids(encoder, token_list)))
        blanks = torch.tensor([token == BLANK for token in token_list])
        self.register_buffer("blanks", blanks)

    def init_state(self, x: Tensor) -> None:
        """Return the state of an empty hypothesis: None. `x` is the speech, which is not used."""

    batch_init_state = init_state

    def score(self, y: Tensor, state: Layers, x: Tensor) -> tuple[Tensor, Layers]:
        """Return ln p of the tokens after the hypothesis `y` [T], in nats, [V], and the new state."""
        scores, (state,) = self.batch_score(y.unsqueeze(0), [state], x)
        return scores[0], state

    def batch_score(self, ys: Tensor, states: list[Layers], xs: Tensor) -> tuple[Tensor, list[Layers]]:
        """Read the last token of each hypothesis.

        Args:
            ys: ESPnet's ids of the hypotheses, [B, T]
            states: of each hypothesis before its last token; None at its beginning
            xs: the speech, which is not used

        Returns:
            (ln p of each token that may follow, in nats, [B, V]; the state of each hypothesis)
        """
        start = self.beam.initial_state(1)
        together = concatenate([start if state is None else state for state in states])
        log_prob, together = self.beam.step(self.ids[ys[:, -1]], together)
        scores = log_prob[:, self.ids].masked_fill(self.blanks, -torch.inf)
        return scores, [map_tensors(lambda x, i=i: x[i : i + 1], together) for i in range(len(ys))]

    def select_state(self, states: list[Layers], i: int, new_id: int | None = None) -> Layers:
        """Return the state of hypothesis `i` from those of a batch."""
        return states[i]

    def final_score(self, state: Layers) -> float:
        """Return 0: ``<sos/eos>`` at the end of a hypothesis is scored like every other token."""
        return 0.0


def model_ids(encoder: TextEncoder, token_list: Sequence[str]) -> list[int]:
    """Return the id of each of ESPnet's tokens in the dictionary of the model; ``<blank>`` becomes a pad."""
    dictionary = encoder.dictionary
    special = {BLANK: dictionary.pad(), SPACE: dictionary.indices.get(encoder.codec.encode(" ").strip())}
    known = {**dictionary.indices, **dict.fromkeys(ENDS, dictionary.eos()), **special}
    missing = [token for token in token_list if known.get(token) is None]
    if missing:
        raise Refused(
            f"the dictionary of the model lacks {len(missing):,} of the {len(token_list):,} tokens, such as "
            f"{', '.join(missing[:3])}: give the token list of the text that the model was trained on"
        )
    return [known[token] for token in token_list]
