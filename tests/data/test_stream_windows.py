"""Every token is a target exactly once, on any number of streams and ranks."""

import numpy as np
import pytest
import torch

from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.streams import contiguous, rotated
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.data.windows import cut, fixed
from lm_plugins.errors import Refused

PAD, EOS = 1, 2


def stream_windows(tokens, streams, own=None):
    corpus = TokenStream("train", tokens, [len(tokens)])
    return StreamWindows(corpus, contiguous(corpus, streams), own or range(streams), PAD, EOS)


def batches(windows, size):
    return [windows.collater([windows[window]]) for window in cut(len(windows), fixed(size))]


def rows(samples, key):
    """[B, all steps] of `key` over all windows."""
    parts = [s["target"] if key == "target" else s["net_input"][key] for s in samples]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("count", [7, 50, 101])
@pytest.mark.parametrize("streams", [1, 2, 7])
@pytest.mark.parametrize("size", [1, 10, 200])
def test_targets_are_the_corpus(count, streams, size):
    tokens = np.arange(count) + 10
    samples = batches(stream_windows(tokens, streams), size)
    target = rows(samples, "target")
    scored = target[target != PAD]
    assert sorted(scored.tolist()) == tokens.tolist()
    assert scored.tolist() == tokens.tolist()  # streams are contiguous and in corpus order
    assert sum(sample["ntokens"] for sample in samples) == count


def test_sources_are_the_targets_shifted_over_the_whole_corpus():
    tokens = np.arange(53) + 10
    samples = batches(stream_windows(tokens, 4), 6)
    before = {token: token - 1 for token in tokens[1:].tolist()} | {10: EOS}
    target, source = rows(samples, "target"), rows(samples, "src_tokens")
    for t, s in zip(target.flatten().tolist(), source.flatten().tolist(), strict=True):
        assert t == PAD or s == before[t]


def rotated_windows(tokens, streams, own=None, seed=3):
    corpus = TokenStream("train", tokens, [len(tokens)])
    return StreamWindows(corpus, rotated(corpus, streams, seed), own or range(streams), PAD, EOS)


def of_epoch(windows, epoch, size=6):
    return [windows.collater([windows[window]]) for window in cut(len(windows), fixed(size), epoch)]


@pytest.mark.parametrize("count", [7, 50, 53])
@pytest.mark.parametrize("streams", [1, 4, 7])
def test_rotated_streams_have_every_token_once_after_its_own_predecessor(count, streams):
    tokens = np.arange(count) + 10
    before = {token: token - 1 for token in tokens[1:].tolist()} | {10: EOS}
    orders = []
    for epoch in (1, 2):
        samples = of_epoch(rotated_windows(tokens, streams), epoch)
        target, source = rows(samples, "target"), rows(samples, "src_tokens")
        assert sorted(target[target != PAD].tolist()) == tokens.tolist()
        for t, s in zip(target.flatten().tolist(), source.flatten().tolist(), strict=True):
            assert t == PAD or s == before[t]
        orders.append(target.tolist())
        plain = rows(batches(stream_windows(tokens, streams), 6), "target")
        for row, expected in zip(target.tolist(), plain.tolist(), strict=True):
            row, expected = [t for t in row if t != PAD], [t for t in expected if t != PAD]
            begin = row.index(expected[0])
            assert row[begin:] + row[:begin] == expected, "a stream has the same tokens, begun elsewhere"
    assert count == streams or orders[0] != orders[1]


def test_rotation_is_the_same_on_every_rank_and_after_a_resume():
    tokens = np.arange(53) + 10
    whole = of_epoch(rotated_windows(tokens, 4), 5)
    again = rotated_windows(tokens, 4, range(2, 4))
    for one, part in zip(whole, of_epoch(again, 5), strict=True):
        assert torch.equal(one["target"][2:], part["target"])
        assert torch.equal(one["net_input"]["src_tokens"][2:], part["net_input"]["src_tokens"])
    other = of_epoch(rotated_windows(tokens, 4, seed=4), 5)
    assert not torch.equal(rows(whole, "target"), rows(other, "target"))


def test_pads_stand_only_at_the_end_of_a_stream_and_only_one_each():
    target = rows(batches(stream_windows(np.arange(53) + 10, 4), 6), "target")
    assert target.eq(PAD).sum(dim=1).max() == 1
    assert not target[:, :-1].eq(PAD).any()


@pytest.mark.parametrize("count", [40, 53])
def test_ranks_together_read_what_one_process_reads(count):
    tokens = np.arange(count) + 10
    whole = batches(stream_windows(tokens, 4), 6)
    parts = [batches(stream_windows(tokens, 4, rows), 6) for rows in (range(0, 2), range(2, 4))]
    for one, first, second in zip(whole, *parts, strict=True):
        together = torch.cat([first["net_input"]["src_tokens"], second["net_input"]["src_tokens"]])
        assert torch.equal(one["net_input"]["src_tokens"], together)
        assert torch.equal(one["target"], torch.cat([first["target"], second["target"]]))
        assert torch.equal(one["id"], torch.cat([first["id"], second["id"]]))


def test_steps_and_stream_name_travel_with_the_batch():
    samples = batches(stream_windows(np.arange(50) + 10, 2), 10)
    assert [sample["net_input"]["step"] for sample in samples] == [0, 1, 2]
    assert {sample["net_input"]["stream"] for sample in samples} == {"train"}


def test_a_corpus_with_fewer_tokens_than_streams_is_refused():
    with pytest.raises(Refused, match="3 tokens.*4 streams.*--batch-size"):
        stream_windows(np.arange(3) + 10, 4)


def test_the_fingerprint_tells_corpora_and_layouts_apart():
    base = stream_windows(np.arange(50) + 10, 4).fingerprint()
    assert base == stream_windows(np.arange(50) + 10, 4).fingerprint()
    other = np.arange(50) + 10
    other[-1] = 11
    assert base != stream_windows(other, 4).fingerprint()
    assert base != stream_windows(np.arange(50) + 10, 5).fingerprint()
    assert base != stream_windows(np.arange(50) + 10, 4, range(2)).fingerprint()
