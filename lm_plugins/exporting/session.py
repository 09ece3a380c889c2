"""Run an exported model with onnxruntime."""

import json
import os

import numpy as np

from lm_plugins.exporting.forms import WINDOW

State = list[np.ndarray]  # [B, ...] each


class Session:
    """An exported model on the CPU.

    Args:
        path: the ONNX file
    """

    def __init__(self, path: str | os.PathLike):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        self.session = onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = self.session.get_inputs()
        self.metadata = self.session.get_modelmeta().custom_metadata_map
        self.form = self.metadata["form"]
        self.symbols: list[str] = json.loads(self.metadata["dictionary"])

    def initial_state(self, streams: int) -> State:
        """Return the state before the first token of `streams` texts."""
        states = [value for value in self.inputs if value.name.startswith("state_")]
        return [np.zeros((streams, *value.shape[1:]), np.float32) for value in states]

    def run(self, tokens: tuple[np.ndarray, ...], state: State) -> tuple[np.ndarray, State]:
        """Return (ln p, new state) for ids [B], or for ids and targets [B, T]."""
        values = (*tokens, *state)
        feeds = {value.name: array for value, array in zip(self.inputs, values, strict=True)}
        log_prob, *new_state = self.session.run(None, feeds)
        return log_prob, new_state

    def score(self, ids: np.ndarray, targets: np.ndarray, state: State) -> tuple[np.ndarray, State]:
        """Return (ln p of each target [B, T], new state), for ids and targets [B, T], in either form."""
        if self.form == WINDOW:
            return self.run((ids, targets), state)
        scored = np.empty(ids.shape, np.float32)
        for t in range(ids.shape[1]):
            log_prob, state = self.run((ids[:, t],), state)
            scored[:, t] = np.take_along_axis(log_prob, targets[:, t : t + 1], axis=1)[:, 0]
        return scored, state
