"""The recurrent state that a decoder carries from one window of a stream to the next."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lm_plugins.errors import Refused
from lm_plugins.models.nested_state import Nest, as_plain, has_rows, map_tensors, tensors_of, typed_like
from lm_plugins.modules.recurrent_layer import RecurrentLayer

STREAMS = 3  # of the state that is checked: few other sizes are 3, so [L, B, H] is not taken for [B, ...]


def stream_name(subset: str, training: bool) -> str:
    """Return the stream of a subset: training and evaluation on one subset have separate states."""
    return f"{'train' if training else 'eval'}:{subset}"


def check_initial_state(layer: RecurrentLayer, number: int) -> None:
    """Check that the state of layer `number`, counted from 1, has a row for each stream.

    Raises:
        Refused: it has other sizes, or is no nest of tensors
    """
    if not has_rows(layer.initial_state(STREAMS), STREAMS):
        raise Refused(
            f"the state of layer {number} ({type(layer).__name__}) cannot be carried: have its "
            "initial_state(B) return a tensor whose first size is B, or a tuple, NamedTuple or list of them"
        )


class CarriedState:
    """The states at the start of the windows of each stream.

    A window starts from the state after the window before it. A window that is skipped or comes twice is
    an error, not a wrong number. The states at the start of all windows of the current update are kept,
    because fairseq runs an update again to find the source of a NaN.

    Args:
        layers: the layers that have these states. A checkpoint holds states as plain tuples, because it may
            hold no other classes; on resume, they get the types of the layers' initial states.
    """

    def __init__(self, layers: Sequence[RecurrentLayer] = ()):
        self.layers = layers
        self.streams: dict[str, dict[int, Nest]] = {}  # name -> {step: state at its start}, by step
        self.update: int | None = None

    def begin_update(self, update: int) -> None:
        """Drop the states of the windows before `update`, which are not run again."""
        if update != self.update:
            self.update = update
            for states in self.streams.values():
                for step in sorted(states)[:-1]:
                    del states[step]

    def enter(self, stream: str, step: int, tokens: Tensor) -> Nest:
        """Return the state at the start of window `step` of `stream`; None for the first window.

        Args:
            tokens: the inputs of the window, [T, B]

        Raises:
            Refused: the window before it was not read, or had another number of streams.
        """
        if step == 0:
            return None
        states = self.streams.get(stream, {})
        if step not in states:
            raise Refused(
                f"window {step} of the stream '{stream}' cannot be processed, because the state after the "
                "preceding window is missing: read the windows in order from 0; to resume a checkpoint that "
                "several processes saved with --no-save-optimizer-state, give --reset-dataloader"
            )
        for tensor in tensors_of(states[step]):
            if tensor.size(0) != tokens.size(1):
                raise Refused(
                    f"the carried state of the stream '{stream}' has {tensor.size(0)} rows, but the window "
                    f"has {tokens.size(1)}: use the same --batch-size for all windows of a stream"
                )
        return map_tensors(lambda tensor: tensor.to(tokens.device), states[step])

    def leave(self, stream: str, step: int, state: Nest, keep: bool) -> None:
        """Store the `state` after window `step`; with `keep`, keep those of the earlier windows."""
        earlier = self.streams.get(stream, {}) if keep and step > 0 else {}
        earlier = {index: stored for index, stored in earlier.items() if index <= step}
        self.streams[stream] = {**earlier, step + 1: map_tensors(_without_window, state)}

    def state_dict(self, stream: str) -> dict | None:
        """Return the next step of `stream` and its state on the CPU, or None if the stream never ran."""
        if stream not in self.streams:
            return None
        step = max(self.streams[stream])
        return {"step": step, "state": as_plain(map_tensors(torch.Tensor.cpu, self.streams[stream][step]))}

    def load_state_dict(self, stream: str, saved: dict | None) -> None:
        """Restore what :meth:`state_dict` returned."""
        self.streams.pop(stream, None)
        if saved is not None:
            state = saved["state"]
            if self.layers:
                state = typed_like([layer.initial_state(0) for layer in self.layers], state)
            self.streams[stream] = {saved["step"]: state}


def _without_window(tensor: Tensor) -> Tensor:
    """Detach `tensor`; copy it if it is a view, which would keep a whole window in memory and checkpoints."""
    tensor = tensor.detach()
    owns_storage = tensor.untyped_storage().nbytes() == tensor.numel() * tensor.element_size()
    return tensor if owns_storage else tensor.clone()
