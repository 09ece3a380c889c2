"""The state that passes from window to window, and what is refused about its order."""

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.models.carried_state import CarriedState, check_initial_state, stream_name
from lm_plugins.models.nested_state import map_tensors
from lm_plugins.modules.qrnn import QRNNLayer
from lm_plugins.modules.recurrent_layer import RecurrentLayer
from lm_plugins.modules.weight_drop_lstm import WeightDropLSTM

ROWS = torch.zeros(7, 3, dtype=torch.long)  # [T, B]


def state(value):
    """The states are those of an LSTM, which has two parts, and of a QRNN, whose first layer has an input."""
    return [(torch.full((3, 2), value), torch.full((3, 2), -value)), (torch.full((3, 4), value), None)]


def same(one, other):
    return str(one) == str(other)


def test_a_window_starts_with_what_the_one_before_left():
    carried = CarriedState()
    assert carried.enter("a", 0, ROWS) is None
    carried.leave("a", 0, state(1.0), keep=False)
    assert same(carried.enter("a", 1, ROWS), state(1.0))
    carried.leave("a", 1, state(2.0), keep=False)
    assert same(carried.enter("a", 2, ROWS), state(2.0))


def test_streams_do_not_mix():
    carried = CarriedState()
    carried.leave("a", 0, state(1.0), keep=True)
    carried.leave("b", 0, state(2.0), keep=True)
    assert same(carried.enter("a", 1, ROWS), state(1.0))
    assert stream_name("valid", training=True) != stream_name("valid", training=False)


@pytest.mark.parametrize("step", [1, 3])
def test_a_window_that_is_skipped_or_comes_twice_is_refused(step):
    carried = CarriedState()
    for done in range(2):
        carried.leave("a", done, state(1.0), keep=False)
    with pytest.raises(Refused, match=f"window {step} of the stream 'a'"):
        carried.enter("a", step, ROWS)


def test_other_rows_are_refused():
    carried = CarriedState()
    carried.leave("a", 0, state(1.0), keep=False)
    with pytest.raises(Refused, match="state of the stream '.*' has 3 rows, but the window has 2"):
        carried.enter("a", 1, ROWS[:, :2])


def test_the_windows_of_an_update_can_run_again_and_older_ones_cannot():
    carried = CarriedState()
    for update in (0, 1):
        carried.begin_update(update)
        for step in (2 * update, 2 * update + 1):
            carried.leave("a", step, state(float(step)), keep=True)
    assert same(carried.enter("a", 3, ROWS), state(2.0))
    assert same(carried.enter("a", 2, ROWS), state(1.0))
    with pytest.raises(Refused):
        carried.enter("a", 1, ROWS)
    carried.leave("a", 2, state(9.0), keep=True)  # run again, with another result
    assert same(carried.enter("a", 3, ROWS), state(9.0))


def test_the_state_is_cut_from_the_graph():
    carried = CarriedState()
    carried.leave("a", 0, [torch.ones(3, 2, requires_grad=True) * 2], keep=True)
    (part,) = carried.enter("a", 1, ROWS)
    assert not part.requires_grad and part.grad_fn is None


def test_saved_and_restored():
    carried, restored = CarriedState(), CarriedState()
    assert carried.state_dict("a") is None
    for step in range(3):
        carried.leave("a", step, state(float(step)), keep=True)
    restored.leave("a", 0, state(7.0), keep=True)
    restored.load_state_dict("a", carried.state_dict("a"))
    assert same(restored.enter("a", 3, ROWS), state(2.0))
    restored.load_state_dict("a", None)
    with pytest.raises(Refused):
        restored.enter("a", 3, ROWS)


class Memory(NamedTuple):
    h: Tensor
    keys: tuple[Tensor, ...]


class WithMemory(RecurrentLayer):
    """A layer with only what a checkpoint asks for."""

    def initial_state(self, batch_size):
        return Memory(torch.zeros(batch_size, 2), (torch.zeros(batch_size, 4),))


def test_a_named_tuple_is_carried_saved_and_restored(tmp_path):
    layers = [WithMemory(), QRNNLayer(2, 3)]
    carried, restored = CarriedState(layers), CarriedState(layers)
    carried.leave("a", 0, [Memory(torch.ones(3, 2), (torch.ones(3, 4),)), (torch.ones(3, 3),)], keep=True)
    (memory, (c,)) = carried.enter("a", 1, ROWS)
    assert isinstance(memory, Memory) and memory.keys[0].shape == (3, 4)
    torch.save(carried.state_dict("a"), tmp_path / "state.pt")
    restored.load_state_dict("a", torch.load(tmp_path / "state.pt", weights_only=True))
    assert same(restored.enter("a", 1, ROWS), [memory, (c,)])
    reordered = map_tensors(lambda tensor: tensor.index_select(0, torch.tensor([2, 0])), memory)
    assert isinstance(reordered, Memory) and reordered.h.shape == (2, 2)


class Sums(RecurrentLayer):
    """A layer whose state is a view of its output."""

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 5),)

    def forward(self, x, state=None, reset=None):
        y = x.cumsum(0)
        return y, (y[-1],)


@pytest.mark.parametrize(
    "layer",
    [Sums(), QRNNLayer(5, 4, window=2), WeightDropLSTM(5, 4, candidate_dropout=0.1)],
    ids=["view", "qrnn", "masked_lstm"],
)
def test_a_state_does_not_keep_the_whole_window(layer):
    carried = CarriedState([layer])
    _, state = layer(torch.randn(7, 3, 5))
    carried.leave("a", 0, [state], keep=True)
    for tensor in carried.state_dict("a")["state"][0]:
        assert tensor.untyped_storage().nbytes() == 4 * tensor.numel()


@pytest.mark.parametrize(
    "initial",
    [
        lambda b: {"h": torch.zeros(b, 2)},
        lambda b: (torch.zeros(1, b, 2), torch.zeros(1, b, 2)),  # as torch.nn.LSTM has it
        lambda b: (torch.zeros(b, 2), torch.tensor(0)),
        lambda b: (torch.zeros(b, 2), 0),
        lambda b: "h",
    ],
)
def test_a_state_without_a_row_for_each_stream_is_refused(initial):
    layer = RecurrentLayer()
    layer.initial_state = initial
    with pytest.raises(Refused, match=r"the state of layer 2 \(RecurrentLayer\) cannot be carried: .* is B"):
        check_initial_state(layer, 2)


@pytest.mark.parametrize(
    "initial",
    [
        lambda b: None,
        lambda b: torch.zeros(b, 2),
        lambda b: [torch.zeros(b), (torch.zeros(b, 2, 3), None)],
    ],
)
def test_a_state_with_a_row_for_each_stream_is_accepted(initial):
    layer = RecurrentLayer()
    layer.initial_state = initial
    check_initial_state(layer, 1)


def test_a_new_state_of_another_type_is_an_error():
    with pytest.raises(TypeError, match="the state of a layer holds a dict"):
        CarriedState().leave("a", 0, [{"h": torch.zeros(3, 2)}], keep=False)
