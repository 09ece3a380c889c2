"""Whole training steps at Penn Treebank's sizes, including fairseq's trainer, compared with awd-lstm-lm's."""

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from fairseq import options, tasks
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.trainer import Trainer
from torch import nn

from benchmarks import peer_code
from benchmarks.awd_lstm_lm import PeerModel, model_itself, peer_step, step_itself
from benchmarks.floor import FLOOR, FLOOR_BF16, Matrix, floor
from benchmarks.measure import Group, Work
from benchmarks.passes import words
from lm_plugins.completion import complete

# hidden, layers, input dropout, hidden dropout, weight dropout; as in the architectures
PEERS = {
    "awd_lstm_ptb": ("LSTM", 1150, 3, 0.4, 0.25, 0.5, 0.25),
    "qrnn_ptb": ("QRNN", 1550, 4, 0.4, 0.3, 0.1, 0.2),
}
BATCH, WINDOW = 20, 70


def peer(
    make_model: Callable[..., nn.Module],
    make_step: Callable[..., Work],
    arch: str,
    vocabulary: int,
    sizes: tuple[int, int] | None,
) -> Work:
    """Prepare awd-lstm-lm's step; `sizes` are the embedding and hidden units, or None for those of `arch`."""
    kind, hidden, layers, *dropouts, clip = PEERS[arch]
    embedding, hidden = sizes or (400, hidden)
    model = make_model(kind, vocabulary, embedding, hidden, layers, *dropouts)
    return make_step(model, words(vocabulary, (WINDOW, BATCH)), words(vocabulary, (WINDOW, BATCH)), clip)


def ours(arch: str, vocabulary: int, sizes: tuple[int, int] | None, *flags: str) -> Work:
    """Prepare the work of fairseq-train on one window."""
    with tempfile.TemporaryDirectory() as folder:
        lines = (f"w{number} {vocabulary - number}" for number in range(vocabulary - 4))  # 4: special symbols
        Path(folder, "dict.txt").write_text("\n".join(lines) + "\n")
        flags = ["fairseq-train", folder, "--arch", arch, "--no-save", *flags]
        if torch.get_default_device().type == "cpu":
            flags += ["--cpu"]
        if sizes:
            flags += ["--decoder-embed-dim", str(sizes[0]), "--decoder-hidden-size", str(sizes[1])]
        parser = options.get_training_parser()
        cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, complete(flags)[1:]))
        task = tasks.setup_task(cfg.task)
    trainer = Trainer(cfg, task, task.build_model(cfg.model), task.build_criterion(cfg.criterion))
    source, target = words(vocabulary, (BATCH, WINDOW)), words(vocabulary, (BATCH, WINDOW))
    windows = iter(range(1_000_000))

    def step() -> None:
        inputs = {"src_tokens": source, "target": target, "stream": "train", "step": next(windows)}
        sample = {"net_input": inputs, "target": target, "ntokens": target.numel(), "nsentences": BATCH}
        trainer.train_step([sample])
        trainer.zero_grad()

    return step


def products(arch: str, vocabulary: int, sizes: tuple[int, int] | None, dtype: torch.dtype) -> Work:
    """Prepare the matrix products of a step; on a CPU the softmax multiplies in float32 before it rounds."""
    kind, hidden, layers, *_ = PEERS[arch]
    embedding, hidden = sizes or (400, hidden)
    widths = [embedding, *[hidden] * (layers - 1), embedding]
    matrices = [Matrix(embedding, vocabulary, torch.float32)]
    for number, (n_in, n_out) in enumerate(pairwise(widths)):
        if kind == "LSTM":
            matrices += [Matrix(n_in, 4 * n_out), Matrix(n_out, 4 * n_out)]
        else:
            matrices.append(Matrix(n_in * (2 if number == 0 else 1), 3 * n_out))
    return floor(BATCH * WINDOW, matrices, dtype=dtype)


def groups(quick: bool) -> Iterator[Group]:
    """Yield a group for each architecture."""
    vocabulary, sizes = (60, (8, 12)) if quick else (10_000, None)
    for arch, (kind, *_) in PEERS.items():
        needed = ("awd-lstm-lm", "torchqrnn") if kind == "QRNN" else ("awd-lstm-lm",)
        itself = partial(peer, model_itself, step_itself, arch, vocabulary, sizes)
        yield Group(
            f"training step of {arch}, {BATCH} x {WINDOW} words, V {vocabulary:,}",
            {
                "awd-lstm-lm's way": partial(peer, PeerModel, peer_step, arch, vocabulary, sizes),
                **peer_code.itself(itself, *needed),
                "ours": partial(ours, arch, vocabulary, sizes),
                "ours, --autocast bf16": partial(ours, arch, vocabulary, sizes, "--autocast", "bf16"),
                FLOOR: partial(products, arch, vocabulary, sizes, torch.float32),
                FLOOR_BF16: partial(products, arch, vocabulary, sizes, torch.bfloat16),
            },
            words=BATCH * WINDOW,
            floors={
                "awd-lstm-lm's way": FLOOR,
                "awd-lstm-lm itself": FLOOR,
                "ours": FLOOR,
                # The layers of an LSTM stay in float32.
                "ours, --autocast bf16": FLOOR_BF16 if kind == "QRNN" else FLOOR,
            },
        )
