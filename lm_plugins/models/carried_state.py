"""The recurrent state that a decoder carries from one window of a stream to the next."""

import torch

from lm_plugins.errors import Refused


def stream_name(subset, training):
    """Training and evaluation on the same subset are two streams, with states of their own."""
    return f"{'train' if training else 'eval'}:{subset}"


def map_tensors(function, state):
    """`function` applied to every tensor of a nest of tuples, lists and None."""
    if state is None:
        return None
    if torch.is_tensor(state):
        return function(state)
    return type(state)(map_tensors(function, part) for part in state)


class CarriedState:
    """States by stream, each good for one step only.

    Step 0 starts from zeros (None). A later step gets the state that the step before it left, and
    must follow it: a window that is skipped, or comes twice, is an error and not a wrong number.
    The states that the windows of the present update group started from are kept as well, because
    fairseq runs a group again to find where a NaN comes from.
    """

    def __init__(self):
        self.streams = {}  # name -> {step: state on entry}, the last step being the next one
        self.update = None

    def begin_update(self, update):
        """A new update: the windows before it are not run again, their states are let go."""
        if update != self.update:
            self.update = update
            for states in self.streams.values():
                for step in sorted(states)[:-1]:
                    del states[step]

    def enter(self, stream, step, tokens):
        """The state with which window `step` of `stream` starts; `tokens` is its [T, B] source."""
        if step == 0:
            return None
        states = self.streams.get(stream, {})
        if step not in states:
            raise Refused(
                f"window {step} of the stream '{stream}' cannot be processed, because the state after the "
                "preceding window is missing: read the windows in order from 0; to resume a checkpoint that "
                "several processes saved with --no-save-optimizer-state, give --reset-dataloader"
            )
        state = map_tensors(lambda part: part.to(tokens.device), states[step])
        map_tensors(lambda part: _same_streams(part, tokens, stream), state)
        return state

    def leave(self, stream, step, state, keep):
        """Keeps `state` for the window after `step`, and the ones before it if `keep`."""
        before = self.streams.get(stream, {}) if keep and step > 0 else {}
        kept = {k: s for k, s in before.items() if k <= step}
        self.streams[stream] = {**kept, step + 1: map_tensors(torch.Tensor.detach, state)}

    def state_dict(self, stream):
        """The next step of `stream` and its state, on the CPU; None if the stream never ran."""
        if stream not in self.streams:
            return None
        step = max(self.streams[stream])
        return {"step": step, "state": map_tensors(torch.Tensor.cpu, self.streams[stream][step])}

    def load_state_dict(self, stream, saved):
        self.streams.pop(stream, None)
        if saved is not None:
            self.streams[stream] = {saved["step"]: saved["state"]}


def _same_streams(part, tokens, stream):
    if part.size(0) != tokens.size(1):
        raise Refused(
            f"the carried state of the stream '{stream}' has {part.size(0)} rows, but the window has "
            f"{tokens.size(1)}: use the same --batch-size for all windows of a stream"
        )
