"""Training with TensorFlow's sampled softmax against a loop in nothing but torch, in float64."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.helpers.plain_model import NO_DROPOUT, PlainModel, streams, tokens_of
from tests.helpers.tasks import training

STREAMS, WINDOW, UPDATES, LR, K = 4, 10, 20, 2e-3, 7
FLAGS = (
    "--criterion", "nce", "--nce-loss", "tf_sampled_softmax", "--nce-k", str(K), "--lr", str(LR),
    "--weight-decay", "0", "--decoder-layers", "2",
)  # fmt: skip
TENSORFLOW = ("--nce-noise", "log_uniform", "--nce-distinct-noise", "--nce-shared-noise")


def sampled(
    scores: Tensor, target: Tensor, noise: Tensor, log_count: Tensor, noise_log_count: Tensor
) -> Tensor:
    """Return the loss of one target: the cross entropy of s - ln E[count] over it and the other noise words.

    Args:
        scores: of all words [V]
        noise: [K]
        log_count: logarithm of the expected count of the target
        noise_log_count: the same of the noise words [K]
    """
    others = noise != target
    candidates = [(scores[target] - log_count)[None], (scores[noise] - noise_log_count)[others]]
    return torch.cat(candidates).logsumexp(0) - candidates[0][0]


@pytest.mark.parametrize("flags", [(), TENSORFLOW], ids=["unigram", "tensorflow"])
def test_training_is_that_of_a_plain_loop(flags: tuple[str, ...], data_bin: Path) -> None:
    torch.manual_seed(5)
    arguments = (*NO_DROPOUT, *FLAGS, *flags)
    task, model, criterion, optimizer = training(data_bin, "awd_lstm_ptb_char", *arguments)
    plain = PlainModel(model.double().state_dict()).double()
    adam = torch.optim.Adam(plain.parameters(), lr=LR)
    windows = task.get_batch_iterator(task.dataset("train"), max_sentences=STREAMS).next_epoch_itr()
    source, target = streams(tokens_of(data_bin, "train"), STREAMS)
    state = [None] * len(plain.layers)
    for update in range(UPDATES):
        generator = torch.get_rng_state()
        optimizer.zero_grad()
        loss = task.train_step(next(windows), model, criterion, optimizer, update)[0]
        task.optimizer_step(optimizer, model, update)

        torch.set_rng_state(generator)  # for the same noise words
        noise, tries = criterion.noise_words(WINDOW, STREAMS, source.device)
        window = slice(update * WINDOW, (update + 1) * WINDOW)
        logits, state = plain(source[window], state)
        k = torch.tensor(float(K)).log()
        expected = torch.zeros((), dtype=torch.float64)
        for t, words in enumerate(target[window]):
            shared = noise if noise.dim() == 1 else noise[t]
            for b, word in enumerate(words):
                counts = [k + criterion.log_q(one, tries).double() for one in (word, shared)]
                expected = expected + sampled(logits[t, b], word, shared, *counts)
        adam.zero_grad()
        expected.backward()
        adam.step()
        torch.testing.assert_close(loss.double(), expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(model.decoder.embed_tokens.weight, plain.table, rtol=0, atol=1e-9)
