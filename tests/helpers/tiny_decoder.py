"""A decoder and a text for tests of evaluation without fairseq."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from lm_plugins.modules.softmax import Softmax

N, B, V, H, SIZE = 23, 2, 7, 5, 4  # the last window has 3 tokens


class TinyDecoder(nn.Module):
    """An RNN with the forward of a RecurrentDecoder; step 0 starts from a zero state."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(V, H), nn.RNN(H, H)
        self.head = Softmax(H, V)
        self.state = None

    def forward(
        self,
        src_tokens: Tensor,  # [B, T], as all
        target: Tensor,
        step: int,
        counted: Tensor,
        scorer: Callable[..., Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Any]]:
        """Return ln p of the targets, [B, T, 1], from `scorer` if there is one."""
        with torch.set_grad_enabled(torch.is_grad_enabled() or (scorer is not None and scorer.needs_graph)):
            features, state = self.rnn(self.embedding(src_tokens.t()), self.state if step else None)
            self.state = state.detach()
            if scorer is None:
                nll = self.head.nll(features, target.t())
            else:
                nll = scorer(self.head, features, target.t(), counted.t())
        return -nll.t().unsqueeze(-1), {}


class TinyText:
    """Windows as :class:`EvaluationWindows` gives them; the last 2 tokens of one stream do not count."""

    subset, targets, unk = "test", N * B - 2, 3

    def __init__(self) -> None:
        self.tokens = torch.randint(V, (B, N + 1))
        self.counted = torch.ones(B, N, dtype=torch.bool)
        self.counted[1, -2:] = False

    def __len__(self) -> int:
        return -(-N // SIZE)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for step, start in enumerate(range(0, N, SIZE)):
            source, target = self.tokens[:, start : start + SIZE], self.tokens[:, start + 1 :][:, :SIZE]
            counted, source = self.counted[:, start : start + SIZE], source[:, : target.size(1)]
            arguments = {"src_tokens": source, "target": target, "step": step, "counted": counted}
            yield {"target": target, "net_input": arguments}
