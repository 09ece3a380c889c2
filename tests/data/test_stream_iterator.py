"""The rest of an epoch is read in whole updates, also with another --update-freq."""

import numpy as np
import pytest
from fairseq.data.iterators import GroupedIterator

from lm_plugins.data.layout import Layout
from lm_plugins.data.stream_iterator import StreamIterator
from lm_plugins.data.stream_windows import StreamWindows
from lm_plugins.data.streams import contiguous
from lm_plugins.data.token_stream import TokenStream
from lm_plugins.errors import Refused

WINDOW, STREAMS = 10, 2


def iterator(windows, update_freq):
    """Return an iterator over an epoch of `windows` windows."""
    tokens = np.full(WINDOW * STREAMS * windows, 5)
    corpus = TokenStream("train", tokens, np.array([len(tokens)]))
    dataset = StreamWindows(corpus, contiguous(corpus, STREAMS), range(STREAMS), pad=1, eos=2)
    layout = Layout(**dataset.fingerprint(), window=WINDOW)
    return StreamIterator(dataset, layout, epoch=1, update_freq=update_freq)


def steps_of_updates(windows, update_freq):
    """Return the windows of each update that fairseq makes."""
    updates = GroupedIterator(windows.next_epoch_itr(), update_freq)
    return [[window["net_input"]["step"] for window in update] for update in updates]


@pytest.mark.parametrize("windows", [9, 10])
@pytest.mark.parametrize("read", [1, 2, 3, 4])
@pytest.mark.parametrize("update_freq", [2, 3, 4])
def test_all_windows_follow_or_none(windows, read, update_freq):
    first = iterator(windows, 1)
    epoch = first.next_epoch_itr()
    for _ in range(read):
        next(epoch)
    resumed = iterator(windows, update_freq)
    try:
        resumed.load_state_dict(first.state_dict())
    except Refused as refusal:
        assert f"after window {read} of {windows}" in str(refusal)
        before, after, whole = (-(-count // update_freq) for count in (read, windows - read, windows))
        assert before + after > whole, "fairseq would end the epoch before its last update"
        return
    steps = steps_of_updates(resumed, update_freq)
    assert sum(steps, []) == list(range(read, windows)) and resumed.end_of_epoch()


def test_a_position_between_two_updates_is_refused():
    first = iterator(10, 1)
    next(first.next_epoch_itr())
    resumed = iterator(10, 2)
    with pytest.raises(Refused, match="--update-freq 2: keep the --update-freq of the checkpoint"):
        resumed.load_state_dict(first.state_dict())
