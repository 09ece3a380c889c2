"""Compute ln p of the tokens of many texts, in batches of texts of similar length.

A batch is read in windows of W tokens, and carries its state from one to the next, so that memory does not
grow with the length of a text. A text that has ended leaves the batch before the next window. The output
layer sees no pads.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lm_plugins.errors import Refused
from lm_plugins.evaluation.scorers import ABOVE_ONE, ROUNDING, ModelScorer, Scorer
from lm_plugins.models.nested_state import map_tensors
from lm_plugins.models.recurrent_decoder import RecurrentDecoder
from lm_plugins.scoring.reading import WINDOW
from lm_plugins.scoring.state import TextState

BATCH_SIZE = 64  # texts in a batch


def by_length(texts: Sequence[Tensor], batch_size: int) -> Iterator[list[int]]:
    """Yield batches of indices of `texts`, the longest texts first; texts without tokens are left out."""
    order = sorted((i for i, text in enumerate(texts) if len(text)), key=lambda i: -len(texts[i]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def log_probs(
    decoder: RecurrentDecoder,
    texts: Sequence[Tensor],
    state: TextState,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], object] = lambda texts: None,
) -> list[Tensor]:
    """Return ln p of each token of each text in nats, [T] for each, on the CPU.

    Args:
        decoder: a model in evaluation
        texts: the ids of each text, [T] on the CPU
        state: the state before the first token of every text, of one text (B = 1)
        batch_size: number of texts that are scored at a time
        progress: is called with the number of texts scored since its last call

    Raises:
        Refused: a probability is zero, NaN or above 1
    """
    results = [torch.empty(0)] * len(texts)
    progress(sum(not len(text) for text in texts))
    for batch in by_length(texts, batch_size):
        repeated = state.select(state.last.new_zeros(len(batch), dtype=torch.long))
        scored, _ = batch_log_probs(decoder, [texts[index] for index in batch], repeated)
        for index, result in zip(batch, scored, strict=True):
            results[index] = result
        progress(len(batch))
    return results


def batch_log_probs(
    decoder: RecurrentDecoder,
    texts: Sequence[Tensor],
    state: TextState,
    window: int = WINDOW,
    scorer: Scorer | None = None,
) -> tuple[list[Tensor], TextState]:
    """Return ln p of the tokens of one batch, and the state after the longest texts.

    Args:
        decoder: a model in evaluation
        texts: ids, [T] each, in order of decreasing length and none empty
        state: the state before the first tokens
        window: W
        scorer: computes -ln p from the features; None: the output layer

    Raises:
        Refused: a probability is zero, NaN or above 1
    """
    scorer = scorer or ModelScorer()
    pad, device = decoder.dictionary.pad(), state.last.device
    windows: list[list[Tensor]] = [[] for _ in texts]
    active = len(texts)
    for start in range(0, len(texts[0]), window):
        while len(texts[active - 1]) <= start:
            active -= 1
        pieces = [text[start : start + window] for text in texts[:active]]
        target = pad_sequence(pieces, padding_value=pad).to(device)  # [T, B]
        nll, state = _window(decoder, target, state.first(active), scorer)
        if not nll.isfinite().all():
            raise Refused("the model assigns a token the probability zero or NaN: use an earlier checkpoint")
        if nll.min() < -ROUNDING:
            raise Refused(ABOVE_ONE)
        for rows, piece, column in zip(windows, pieces, (-nll).cpu().unbind(1), strict=False):
            rows.append(column[: len(piece)])
    return [torch.cat(rows) for rows in windows], state


def _window(
    decoder: RecurrentDecoder, target: Tensor, state: TextState, scorer: Scorer
) -> tuple[Tensor, TextState]:
    """Return -ln p of `target` [T, B], with 0 at pads, and the state after it."""
    source = torch.cat([state.last.unsqueeze(0), target[:-1]])
    counted = target != decoder.dictionary.pad()
    with torch.set_grad_enabled(scorer.needs_graph):
        features, layers, _ = decoder.extract_features(source, state.layers)
        # One stream of all counted tokens: [N, 1, C] and [N, 1].
        rows, ids = features[counted].unsqueeze(1), target[counted].unsqueeze(1)
        scored = scorer(decoder.output_head, rows, ids, torch.ones_like(ids, dtype=torch.bool))
    if scored.shape != ids.shape:
        raise Refused(
            f"the scorer {type(scorer).__name__} returns the shape {list(scored.shape)} for targets of "
            f"{list(ids.shape)}: have it return -ln p of each target"
        )
    nll = scored.new_zeros(target.shape)
    nll[counted] = scored.detach().squeeze(1)
    return nll, TextState(map_tensors(torch.Tensor.detach, layers), target[-1])
