"""Adam with an L2 term through fairseq's trainer, against torch.optim.Adam in a plain loop, in float64.

fairseq clips by a norm in float32, which it does not compute of float64; here both sides clip with torch's
function, which has the same formula.
"""

from pathlib import Path

import pytest
import torch
from fairseq import tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.trainer import Trainer
from torch.nn.utils import clip_grad_norm_

from lm_plugins.optim.torch_adam import TorchAdam
from tests.helpers.plain_model import NO_DROPOUT, PlainModel, streams, tokens_of
from tests.helpers.recipes import parsed

STREAMS, WINDOW, UPDATES, LR, DECAY, NORM = 4, 10, 40, 2e-3, 1e-2, 0.165
FLAGS = (
    "--decoder-embed-dim", "12", "--decoder-hidden-size", "16", "--decoder-layers", "2", "--cpu",
    "--tokens-per-sample", str(WINDOW), "--batch-size", str(STREAMS), "--lr", str(LR),
    "--weight-decay", str(DECAY), "--clip-norm", str(NORM), "--bptt-variation", "0",
)  # fmt: skip


def by_fairseq(data_bin: Path, *flags: str) -> tuple[dict[str, torch.Tensor], PlainModel]:
    """Train an architecture that was published with Adam; return its weights and its start."""
    command = ["fairseq-train", str(data_bin), "--user-dir", "lm_plugins", "--arch", "awd_lstm_ptb_char"]
    cfg = convert_namespace_to_omegaconf(parsed([*command, *FLAGS, *NO_DROPOUT, *flags]))
    torch.manual_seed(5)
    task = tasks.setup_task(cfg.task)
    model = task.build_model(cfg.model).double()
    criterion = task.build_criterion(cfg.criterion)
    plain = PlainModel(model.state_dict()).double()
    trainer = Trainer(cfg, task, model, criterion)
    windows = trainer.get_train_iterator(1).next_epoch_itr()
    trainer.begin_epoch(1)
    for _ in range(UPDATES):
        trainer.train_step([next(windows)])
    return model.state_dict(), plain


def by_hand(model: PlainModel, tokens: torch.Tensor, optimizer: torch.optim.Optimizer) -> list[bool]:
    """Make the same updates with `optimizer`; return whether the gradient was clipped in each of them."""
    source, target = streams(tokens, STREAMS)
    state, clipped = [None] * len(model.layers), []
    for start in range(0, UPDATES * WINDOW, WINDOW):
        logits, state = model(source[start : start + WINDOW], state)
        expected = target[start : start + WINDOW].flatten()
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), expected).backward()
        clipped.append(bool(clip_grad_norm_(model.parameters(), NORM) > NORM))
        optimizer.step()
    return clipped


@pytest.mark.parametrize("decoupled", [False, True])
def test_the_trajectory_is_that_of_torch(
    decoupled: bool, data_bin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L2 is what the architectures train with; --decoupled-weight-decay is AdamW."""
    monkeypatch.setattr(TorchAdam, "clip_grad_norm", lambda self, c, **_: clip_grad_norm_(self.params, c))
    weights, plain = by_fairseq(data_bin, *(["--decoupled-weight-decay"] if decoupled else []))
    kind = torch.optim.AdamW if decoupled else torch.optim.Adam
    clipped = by_hand(plain, tokens_of(data_bin, "train"), kind(plain.parameters(), LR, weight_decay=DECAY))
    assert any(clipped) and not all(clipped)
    expected = {
        "decoder.embed_tokens.weight": plain.table,
        "decoder.output_head.vocabulary.bias": plain.bias,
        **{f"decoder.layers.{n}.{name}": p for n, layer in enumerate(plain.layers)
           for name, p in layer.named_parameters()},
    }  # fmt: skip
    for name, p in expected.items():
        torch.testing.assert_close(
            weights[name], p.detach(), rtol=0, atol=1e-9, msg=lambda m, n=name: f"{n} {m}"
        )
