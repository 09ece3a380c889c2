"""Shuffled windows hold every token once, in an order that the seed and the epoch determine."""

import numpy as np
import pytest
import torch

from lm_plugins.data.independent_windows import shuffled_windows
from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.data.windows import cut, fixed

PAD, EOS, SIZE = 1, 2, 6


def batches(tokens, rows, epoch=1, own=None, seed=3, move_start=False):
    """The batches of an epoch, as training reads them."""
    corpus = TokenStream("train", tokens, [len(tokens)])
    layout = shuffled_windows(corpus, rows, SIZE, seed, move_start)
    windows = StreamWindows(corpus, layout, own or range(rows), PAD, EOS, independent=True)
    length = layout(epoch).length
    return [windows.collater([windows[window]]) for window in cut(length, fixed(SIZE), epoch)]


@pytest.mark.parametrize("count", [7, 48, 50, 101])
@pytest.mark.parametrize("rows", [1, 4])
@pytest.mark.parametrize("move_start", [False, True])
def test_every_token_once_after_its_own_predecessor(count, rows, move_start):
    tokens = np.arange(count) + 10
    before = {token: token - 1 for token in tokens[1:].tolist()} | {10: EOS}
    orders = []
    for epoch in (1, 2):
        samples = batches(tokens, rows, epoch, move_start=move_start)
        target = torch.cat([sample["target"] for sample in samples], dim=1)
        source = torch.cat([sample["net_input"]["src_tokens"] for sample in samples], dim=1)
        assert target.shape == source.shape and target.size(1) == len(samples) * SIZE
        for t, s in zip(target.flatten().tolist(), source.flatten().tolist(), strict=True):
            assert s == (PAD if t == PAD else before[t])
        assert sorted(target[target != PAD].tolist()) == tokens.tolist()
        assert sum(sample["ntokens"] for sample in samples) == count
        orders.append(target.tolist())
    assert count == 7 or orders[0] != orders[1]


def test_a_row_is_one_window_of_consecutive_tokens_and_starts_from_zeros():
    samples = batches(np.arange(101) + 10, 4, move_start=True)
    whole = 0
    for sample in samples:
        assert sample["net_input"]["step"] == 0
        for row in sample["target"]:
            tokens = row[row != PAD]
            assert tokens.diff().eq(1).all() and not row[: len(tokens)].eq(PAD).any()
            whole += len(tokens) == SIZE
    assert whole >= 101 // SIZE - 1, "all windows are whole but the first and the last one"
    starts = [batches(np.arange(101) + 10, 4, epoch, move_start=True) for epoch in range(1, 9)]
    boundaries = {
        frozenset(int(r[0]) % SIZE for s in one for r in s["target"] if r[0] > 10) for one in starts
    }
    assert len(boundaries) > 2, "the boundaries move from epoch to epoch"


def test_ranks_together_read_what_one_process_reads():
    tokens = np.arange(101) + 10
    whole = batches(tokens, 4, 5)
    halves = [batches(tokens, 4, 5, own) for own in (range(0, 2), range(2, 4))]
    for one, first, second in zip(whole, *halves, strict=True):
        assert torch.equal(one["target"], torch.cat([first["target"], second["target"]]))
    other = batches(tokens, 4, 5, seed=4)
    assert any(not torch.equal(a["target"], b["target"]) for a, b in zip(whole, other, strict=True))
